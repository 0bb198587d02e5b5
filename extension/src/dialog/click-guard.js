// A click counts only after the dialog has been visible, uncovered, for a moment.

/** Milliseconds that the dialog must be visible before a click counts. */
const MOMENT = 600;

let visible = false;
/** Whether a click counts now. */
let armed = false;
let timer = 0;
/** @type {IntersectionObserver | undefined} */
let observer;

/** Start the moment again, or wait until the dialog is visible. */
function arm() {
  clearTimeout(timer);
  setArmed(false);
  if (visible) timer = setTimeout(setArmed, MOMENT, true);
}

/** @param {boolean} value */
function setArmed(value) {
  armed = value;
  document.documentElement.dataset.armed = String(value);
}

/** Watch whether an element is visible, from now on and instead of the one before.  Firefox does not tell
 * whether something covers it.
 * @param {Element} panel */
export function watchVisibility(panel) {
  const trackVisibility = 'isVisible' in IntersectionObserverEntry.prototype;
  const options = { threshold: [0, 0.5, 0.99], trackVisibility, delay: 100 };
  observer?.disconnect();
  visible = false;
  arm();
  observer = new IntersectionObserver((entries) => {
    /** @type {IntersectionObserverEntry & {isVisible?: boolean}} */
    const entry = entries[entries.length - 1];
    const before = visible;
    visible = entry.intersectionRatio > 0.95 && (!trackVisibility || entry.isVisible === true);
    if (visible !== before || !visible) arm();
  }, options);
  observer.observe(panel);
}

document.addEventListener('visibilitychange', () => { if (!document.hidden) arm(); });

/** Do something when a person who sees the button presses it.
 * @param {Element} element
 * @param {string} kind
 * @param {(event: Event) => void} action */
export function onPress(element, kind, action) {
  element.addEventListener(kind, (event) => {
    event.preventDefault();
    if (event.isTrusted && armed) action(event);
  });
}
