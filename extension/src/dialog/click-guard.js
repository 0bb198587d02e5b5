// A click counts only after the dialog has been visible, uncovered, for a moment.

/** Milliseconds that the dialog must be visible before a click counts. */
const MOMENT = 600;

/** Since when the dialog is visible; Infinity while it is not. */
let since = Infinity;

/** Watch whether an element is visible.  Firefox does not tell whether something covers it.
 * @param {Element} panel */
export function watchVisibility(panel) {
  const trackVisibility = 'isVisible' in IntersectionObserverEntry.prototype;
  const options = { threshold: [0, 0.5, 0.99], trackVisibility, delay: 100 };
  new IntersectionObserver((entries) => {
    /** @type {IntersectionObserverEntry & {isVisible?: boolean}} */
    const entry = entries[entries.length - 1];
    const visible = entry.intersectionRatio > 0.95 && (!trackVisibility || entry.isVisible === true);
    if (!visible) since = Infinity;
    else if (since === Infinity) since = performance.now();
    document.documentElement.dataset.visible = String(visible);
  }, options).observe(panel);
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden && since !== Infinity) since = performance.now();
  });
}

/** Do something when a person who sees the button presses it.
 * @param {Element} element
 * @param {string} kind
 * @param {(event: Event) => void} action */
export function onPress(element, kind, action) {
  element.addEventListener(kind, (event) => {
    event.preventDefault();
    if (event.isTrusted && performance.now() - since >= MOMENT) action(event);
  });
}
