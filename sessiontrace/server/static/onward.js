// Loads what lies further down when its end comes near, and goes on asking until it is answered.
//
// Whether the button is near is looked up, never remembered: a notice of the observer may come
// late, and a question that failed is followed by none.

const NEAR = 400; // px below the window
const AGAIN = 1000; // ms after a failure, then twice as long each time
const SELDOM = 15_000;

export function onward(button, load) {
  let busy = false;
  let misses = 0;
  let timer = 0;
  let ended = false;

  function look() {
    if (!button.hidden && button.getBoundingClientRect().top < innerHeight + NEAR) go();
  }

  async function go() {
    if (busy || ended || button.hidden) return;
    busy = true;
    clearTimeout(timer);
    try {
      await load();
      misses = 0;
    } catch {
      misses += 1;
    }
    busy = false;
    if (!ended) timer = setTimeout(look, misses ? Math.min(AGAIN * 2 ** (misses - 1), SELDOM) : 0);
  }

  const seen = new IntersectionObserver(look, { rootMargin: `${NEAR}px` });
  seen.observe(button);
  button.addEventListener("click", go);
  return {
    look,
    stop() {
      ended = true;
      clearTimeout(timer);
      seen.disconnect();
    },
  };
}
