// The time range of the list: presets that end now, or two moments of one's own.

import { el } from "../elements.js";
import { RANGES } from "../values/list_state.js";

const CUSTOM = "custom";

/**
 * @param {{changed: (times: {range: string, from: number | null, to: number | null}) => void,
 *   unbounded?: boolean}} options `unbounded`: any time may be chosen
 */
export function timeFilter({ changed, unbounded = true }) {
  const select = el(
    "select",
    { "aria-label": "Time range" },
    [...(unbounded ? [["", "Any time"]] : []), ...RANGES, [CUSTOM, "From … to …"]].map(
      ([value, label]) => el("option", { value }, label),
    ),
  );
  const from = moment("From");
  const to = moment("To");
  const custom = el("span", { class: "moments", hidden: true }, from.label, to.label);
  const element = el("span", { class: "times" }, select, custom);

  select.addEventListener("change", () => {
    custom.hidden = select.value !== CUSTOM;
    if (select.value === CUSTOM) from.input.focus();
    else changed({ range: select.value, from: null, to: null });
  });
  for (const { input } of [from, to])
    input.addEventListener("change", () =>
      changed({ range: "", from: momentOf(from.input), to: momentOf(to.input) }),
    );

  function show(state) {
    const own = state.from !== null || state.to !== null;
    select.value = own ? CUSTOM : state.range;
    custom.hidden = !own;
    from.input.value = local(state.from);
    to.input.value = local(state.to);
  }

  return { element, show };
}

function moment(name) {
  const input = el("input", { type: "datetime-local", "aria-label": name, step: "1" });
  return { input, label: el("label", {}, el("span", { class: "soft" }, name), input) };
}

function momentOf(input) {
  const at = input.value ? new Date(input.value).getTime() : Number.NaN;
  return Number.isNaN(at) || at < 0 ? null : at;
}

/** Unix ms as the field writes them, in local time. */
function local(at) {
  if (at === null) return "";
  const shifted = new Date(at - new Date(at).getTimezoneOffset() * 60_000);
  return shifted.toISOString().slice(0, 19);
}
