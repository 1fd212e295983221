// Loads the next page when the end of the list comes near, and retries until the server answers.
//
// Whether the button is near is measured every time: an observer's notice may come late, and none
// follows a request that failed.

const NEAR_PX = 400; // below the window
const RETRY_MS = 1000; // after a failure, doubled each time
const RETRY_MAX_MS = 15_000;

export function infiniteScroll(button, load) {
  let busy = false;
  let failures = 0;
  let timer = 0;
  let ended = false;

  function check() {
    if (!button.hidden && button.getBoundingClientRect().top < innerHeight + NEAR_PX) loadNext();
  }

  async function loadNext() {
    if (busy || ended || button.hidden) return;
    busy = true;
    clearTimeout(timer);
    try {
      await load();
      failures = 0;
    } catch {
      failures += 1;
    }
    busy = false;
    if (!ended)
      timer = setTimeout(
        check,
        failures ? Math.min(RETRY_MS * 2 ** (failures - 1), RETRY_MAX_MS) : 0,
      );
  }

  const observer = new IntersectionObserver(check, { rootMargin: `${NEAR_PX}px` });
  observer.observe(button);
  button.addEventListener("click", loadNext);
  return {
    check,
    stop() {
      ended = true;
      clearTimeout(timer);
      observer.disconnect();
    },
  };
}
