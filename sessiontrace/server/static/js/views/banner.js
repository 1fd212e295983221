// Above everything else: what the programs that write to this store have lost. The sessions shown
// are then incomplete, and a reader who looks for a step needs to know.

import { poll, post, unchanged } from "../api.js";
import { el } from "../elements.js";
import { amount, moment } from "../values/format.js";

const EVERY = 5000;
const WORDS = {
  closed: "after its shutdown",
  encode_error: "could not be encoded",
  too_large: "too large even after truncation",
  unrouted: "for an unknown destination",
  unredacted: "whose redaction took too long",
  spool_error: "accepted by neither disk nor memory",
};

function words(what) {
  const [, destination, fate] = what.match(/^(.+) (rejected|evicted)$/) ?? [];
  if (fate)
    return fate === "rejected"
      ? `rejected by ${destination}`
      : `evicted before ${destination} received them, because the spool was full`;
  return WORDS[what] ?? what;
}

export function banner(container) {
  poll(() => "/api/losses", {
    every: EVERY,
    seen(answer) {
      if (answer !== unchanged) container.replaceChildren(...answer.losses.map(line));
    },
    failed() {}, // the view below shows the error
  });

  function line(loss) {
    const total = Object.values(loss.counts).reduce((sum, count) => sum + count, 0);
    const reasons = Object.entries(loss.counts)
      .map(([what, count]) => `${count} ${words(what)}`)
      .join(", ");
    const close = el("button", { type: "button", class: "quiet small" }, "Dismiss");
    close.addEventListener("click", async () => {
      close.disabled = true;
      try {
        await post("/api/losses/seen", { id: loss.id });
        row.remove();
      } catch {
        close.disabled = false;
      }
    });
    const row = el(
      "p",
      { class: "loss" },
      el(
        "span",
        {},
        el("strong", {}, `${loss.service || "A program"} lost ${amount(total, "record")}`),
        `: ${reasons}. `,
        el("span", { class: "soft" }, `Process ${loss.pid}, ${moment(loss.at)}`),
      ),
      close,
    );
    return row;
  }
}
