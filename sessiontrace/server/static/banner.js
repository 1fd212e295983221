// Above everything else: what the programs that write to this store have lost. What is shown then
// is not all there was, and whoever looks for a step should know that.

import { poll, tell, unchanged } from "./api.js";
import { el } from "./dom.js";
import { amount, moment } from "./format.js";

const EVERY = 5000;
const WORDS = {
  closed: "after its shutdown",
  encode_error: "that could not be encoded",
  too_large: "too large even after cutting",
  unrouted: "for a destination that does not exist",
  unredacted: "whose redaction took too long",
  spool_error: "that neither disk nor memory could take",
};

function words(what) {
  const [, destination, fate] = what.match(/^(.+) (rejected|evicted)$/) ?? [];
  if (fate) return fate === "rejected" ? `rejected by ${destination}` : `gone before ${destination} took them, because the spool was full`;
  return WORDS[what] ?? what;
}

export function banner(place) {
  poll(() => "/api/losses", {
    every: EVERY,
    seen(answer) { if (answer !== unchanged) place.replaceChildren(...answer.losses.map(line)); },
    failed() {}, // the view below tells what is wrong
  });

  function line(loss) {
    const total = Object.values(loss.counts).reduce((sum, count) => sum + count, 0);
    const reasons = Object.entries(loss.counts).map(([what, count]) => `${count} ${words(what)}`).join(", ");
    const close = el("button", { type: "button", class: "quiet small" }, "Dismiss");
    close.addEventListener("click", async () => {
      close.disabled = true;
      try {
        await tell("/api/losses/seen", { id: loss.id });
        row.remove();
      } catch {
        close.disabled = false;
      }
    });
    const row = el("p", { class: "loss" },
      el("span", {}, el("strong", {}, `${loss.service || "A program"} lost ${amount(total, "record")}`), `: ${reasons}. `,
        el("span", { class: "soft" }, `Process ${loss.pid}, ${moment(loss.at)}`)), close);
    return row;
  }
}
