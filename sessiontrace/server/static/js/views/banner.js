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
  "media too large": "media larger than the limit of one",
  "media over the total": "media beyond the limit of all",
  "media unreadable": "media whose bytes could not be decoded",
  "media gone": "media no longer in memory when their record arrived",
  "media not written": "media that the disk did not take",
  "sessions over the size of the store": "deleted because the store is larger than its limit",
};

function words(what) {
  const [, destination, fate] = what.match(/^(.+) (rejected|evicted)$/) ?? [];
  if (fate)
    return fate === "rejected"
      ? `rejected by ${destination}`
      : `evicted before ${destination} received them, because the spool was full`;
  return WORDS[what] ?? what;
}

/** What was lost, by kind: records, and what a reason names itself. */
function lostText(counts) {
  const totals = { record: 0, medium: 0, session: 0 };
  for (const [what, count] of Object.entries(counts))
    totals[/^media /.test(what) ? "medium" : /^sessions /.test(what) ? "session" : "record"] +=
      count;
  return [
    totals.record ? amount(totals.record, "record") : "",
    totals.medium ? amount(totals.medium, "medium", "media") : "",
    totals.session ? amount(totals.session, "session") : "",
  ]
    .filter(Boolean)
    .join(", ");
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
        el("strong", {}, `${loss.service || "A program"} lost ${lostText(loss.counts)}`),
        `: ${reasons}. `,
        el("span", { class: "soft" }, `Process ${loss.pid}, ${moment(loss.at)}`),
      ),
      close,
    );
    return row;
  }
}
