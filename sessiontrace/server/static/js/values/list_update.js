// What becomes of the rows of a list when the first page of it is read again.

/**
 * The rows of the list: the new first page, and below it the rows of later pages.
 *
 * A row that the new page has no longer was pushed out of it by rows that came in above, or fits the
 * filters no more: as many as came in were pushed, the lowest first.
 * @param {any[]} rows the sessions as they are shown
 * @param {{sessions: any[], next: string | null}} page the first page now
 * @param {string | null} next the cursor behind `rows`
 * @returns {{rows: any[], next: string | null}}
 */
export function merged(rows, page, next) {
  const now = new Set(page.sessions.map(idOf));
  const before = rows.slice(0, page.sessions.length);
  const stayed = new Set(before.map(idOf).filter((id) => now.has(id)));
  if (page.next === null || !stayed.size) return { rows: page.sessions, next: page.next };
  const last = page.sessions.findLastIndex((session) => stayed.has(session.session_id));
  const came = page.sessions.slice(0, last).filter((session) => !stayed.has(session.session_id));
  const gone = before.filter((session) => !now.has(session.session_id));
  const pushed = came.length ? gone.slice(-came.length) : [];
  const later = rows.slice(page.sessions.length).filter((session) => !now.has(session.session_id));
  return { rows: [...page.sessions, ...pushed, ...later], next };
}

/** The sessions of a page that no row shows yet. */
export function arrivals(rows, page) {
  const shown = new Set(rows.map(idOf));
  return page.sessions.filter((session) => !shown.has(session.session_id));
}

const idOf = (session) => session.session_id;
