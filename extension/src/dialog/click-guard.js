// Buttons count only when the user has had the dialog before their eyes, uncovered, for a moment.

/** Milliseconds that the dialog must be seen before a click counts. */
const MOMENT = 600;

/** When it began to be seen; Infinity while it is not. */
let since = Infinity;

/** @param {Element} panel */
export function watchSight(panel) {
  const told = 'isVisible' in IntersectionObserverEntry.prototype;
  const options = /** @type {IntersectionObserverInit} */ ({ threshold: [0, 0.5, 0.99], trackVisibility: told, delay: 100 });
  new IntersectionObserver((entries) => {
    const entry = /** @type {IntersectionObserverEntry & {isVisible?: boolean}} */ (entries[entries.length - 1]);
    const seen = entry.intersectionRatio > 0.95 && (!told || entry.isVisible === true);
    if (!seen) since = Infinity;
    else if (since === Infinity) since = performance.now();
    document.documentElement.dataset.seen = String(seen);
  }, options).observe(panel);
  document.addEventListener('visibilitychange', () => { if (!document.hidden && since !== Infinity) since = performance.now(); });
}

/** Do something when a button is pressed by a person who sees it.
 * @param {Element} element
 * @param {string} kind
 * @param {(event: Event) => void} action */
export function onPress(element, kind, action) {
  element.addEventListener(kind, (event) => {
    event.preventDefault();
    if (event.isTrusted && performance.now() - since >= MOMENT) action(event);
  });
}
