// One session in one of its views: a conversation opens as a thread, any other session as its steps,
// and the address may name either. The key t goes from one to the other.

import { get } from "../api.js";
import { sessionJudgements } from "../judging/panel.js";
import { queueOf, withQueue } from "../judging/queue.js";
import { reviewBar } from "../judging/review_bar.js";
import { fragmentOf, sessionPath, viewOf } from "../values/thread.js";
import { sessionView } from "./session_view.js";
import { firstPagePath, threadView } from "./thread_view.js";

export function sessionPage(outer, id, hash) {
  const queue = queueOf(outer.search);
  const context = { ...outer, queue };
  const ended = new AbortController();
  const named = viewOf(context.search, hash);
  const isFromUser = context.from.startsWith("/users/");
  const isFromThread = [sessionPath(id), sessionPath(id, "thread")].includes(context.from);
  const isOther = context.from !== location.pathname + location.search; // else it was a reload
  let kind = named;
  let view = null;
  const bar = reviewBar({ id, queue, navigate: context.navigate });
  if (named) show(named);
  else decide();

  async function decide() {
    let first = null;
    try {
      first = await get(firstPagePath(id), ended.signal);
    } catch {
      if (ended.signal.aborted) return; // the steps say what is wrong
    }
    const own = first?.body.session.session_id ?? id;
    // The address has the application's own id, or how an id begins.
    if (own !== id) context.navigate(withQueue(sessionPath(own), queue), { replace: true });
    else show(first?.body.conversation ? "thread" : "tree", first);
  }

  function show(name, first = null) {
    kind = name;
    const isBack = isFromUser || (name === "tree" && isFromThread && isOther);
    const inner = { ...context, upPath: isBack ? context.from : context.listPath };
    view = name === "thread" ? threadView(inner, id, hash, first) : sessionView(inner, id, hash);
    context.main.querySelector(".head").after(bar.element);
    if (name === "thread") bar.element.after(sessionJudgements(id)); // the steps have it in their panel
  }

  return {
    save: () => view?.save(),
    close() {
      ended.abort();
      view?.close();
    },
    back: () => view?.back?.() ?? false,
    key(event) {
      if (event.key === "t" && view && !event.shiftKey) {
        event.preventDefault();
        const other = kind === "thread" ? "tree" : "thread";
        const chosen = kind === "thread" ? (view.turn?.() ?? "") : fragmentOf(location.hash);
        context.navigate(withQueue(sessionPath(id, other, chosen), queue));
      } else if (!bar.key(event)) view?.key(event);
    },
  };
}
