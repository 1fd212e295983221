// Rules of retention as texts and numbers. Pure: no element is made here.

import { amount } from "./format.js";

const MEBI = 1048576;

/** The rule in two fields; an empty field is no limit. @param {string} days @param {string} mebibytes */
export function ruleOf(days, mebibytes) {
  const most = mebibytes.trim() === "" ? null : Math.round(Number(mebibytes) * MEBI);
  return { days: days.trim() === "" ? null : Number(days), most_bytes: most };
}

/** Who deletes what, and when. @param {any} state as ``/api/retention`` answers */
export function describedRule(state) {
  if (state.database_days !== null)
    return state.database_days
      ? `ClickHouse deletes each record ${amount(state.database_days, "day")} after it arrived. ` +
          "The TTL of its tables sets that."
      : "ClickHouse deletes nothing by itself.";
  return "Days count while the store is in use; every program that writes to it follows this rule.";
}

/** What a rule deletes. @param {any} preview @param {(at: number) => string} moment */
export function previewText(preview, moment) {
  if (!preview.sessions) return "This deletes no session now.";
  const parts = [
    preview.aged ? `${amount(preview.aged, "session")} for their age` : "",
    preview.excess ? `about ${amount(preview.excess, "session")} for the size` : "",
  ].filter(Boolean);
  const times = `last written from ${moment(preview.oldest)} to ${moment(preview.newest)}`;
  return `This deletes ${parts.join(" and ")}, ${times}. Their steps, texts and media go with them.`;
}
