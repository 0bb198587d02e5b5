// A closer look at two photos that lie one above the other: zoom, moving about, going round the faces.
// The server's page has the same file; a test compares them.

/** What a frame shows of a photo.  `zoom` 1 is the whole photo; `x` and `y` say where its left and upper
 * edges lie, in widths and heights of the frame.
 * @typedef {{zoom: number, x: number, y: number}} View */
/** Left, top, right and bottom of a face, in pixels of the photo.
 * @typedef {number[]} Box */

/** The closest look, and the part of the frame that a face takes. */
const MOST = 24, SHARE = 0.5;
/** What one press on a button, and one key, change. */
const STEP = 1.5, WAY = 0.15;
/** Pixels from the cut within which a drag moves the cut, and not the photo. */
const REACH = 24;

/** @type {View} */
export const WHOLE = { zoom: 1, x: 0, y: 0 };

/** @param {number} low
 * @param {number} value
 * @param {number} high */
const within = (low, value, high) => Math.min(Math.max(value, low), high);

/** Keep the photo's edges outside the frame.
 * @param {View} view
 * @returns {View} */
function kept({ zoom, x, y }) {
  return { zoom, x: within(1 - zoom, x, 0), y: within(1 - zoom, y, 0) };
}

/** Look closer, or from further away.
 * @param {View} view
 * @param {number} factor
 * @param {number[]} place in the frame that stays where it is, from 0 to 1
 * @returns {View} */
export function zoomed(view, factor, [x, y] = [0.5, 0.5]) {
  const zoom = within(1, view.zoom * factor, MOST), by = zoom / view.zoom;
  return kept({ zoom, x: x - (x - view.x) * by, y: y - (y - view.y) * by });
}

/** Move the photo.
 * @param {View} view
 * @param {number} x in widths of the frame
 * @param {number} y in its heights
 * @returns {View} */
export const moved = (view, x, y) => kept({ ...view, x: view.x + x, y: view.y + y });

/** A face in the middle of the frame.
 * @param {Box} box
 * @param {number} width of the photo
 * @param {number} height
 * @returns {View} */
export function faceView([left, top, right, bottom], width, height) {
  const zoom = within(1, SHARE / Math.max((right - left) / width, (bottom - top) / height), MOST);
  const [x, y] = [(left + right) / 2 / width, (top + bottom) / 2 / height];
  return kept({ zoom, x: 0.5 - zoom * x, y: 0.5 - zoom * y });
}

/** Lets a person look closer, by buttons, keys, wheel and fingers. */
export class CloserLook {
  /** @param {HTMLElement} frame around both photos; it shows the view by `--zoom`, `--x` and `--y`
   * @param {HTMLElement} tools the buttons `.closer`, `.further`, `.whole` and `.face`
   * @param {(number: number, count: number) => string} textOf the face's button in words */
  constructor(frame, tools, textOf) {
    this.frame = frame;
    this.textOf = textOf;
    /** @type {View} */
    this.view = WHOLE;
    /** @type {View[]} */
    this.faces = [];
    /** The face that is looked at. */
    this.face = 0;
    /** Fingers on the photo, or the mouse. @type {Map<number, PointerEvent>} */
    this.fingers = new Map();
    /** @type {(name: string) => HTMLButtonElement} */
    const button = (name) => /** @type {any} */ (tools.querySelector(name));
    this.buttons = {
      closer: button('.closer'), further: button('.further'), whole: button('.whole'), face: button('.face'),
    };
    this.buttons.closer.addEventListener('click', () => this.show(zoomed(this.view, STEP)));
    this.buttons.further.addEventListener('click', () => this.show(zoomed(this.view, 1 / STEP)));
    this.buttons.whole.addEventListener('click', () => this.show(WHOLE));
    this.buttons.face.addEventListener('click', () => this.turn());
    frame.addEventListener('keydown', (event) => this.press(event));
    frame.addEventListener('wheel', (event) => this.roll(event), { passive: false });
    // Before the slider's own listeners: a drag far from the cut moves the photo.
    frame.addEventListener('pointerdown', (event) => this.touch(event), true);
    frame.addEventListener('pointermove', (event) => this.drag(event), true);
    for (const end of ['pointerup', 'pointercancel']) {
      frame.addEventListener(end, (event) => {
        this.fingers.delete(/** @type {PointerEvent} */ (event).pointerId);
      });
    }
    this.show(WHOLE);
  }

  /** Begin at the first face.
   * @param {Box[]} boxes of the faces
   * @param {number} width of the photo in pixels; 0 where the browser cannot show it
   * @param {number} height */
  open(boxes, width, height) {
    this.faces = width && height ? boxes.map((box) => faceView(box, width, height)) : [];
    this.face = 0;
    this.buttons.face.hidden = !this.faces.length;
    this.show(this.faces[0] ?? WHOLE);
  }

  /** Look at the next face, or back at the one that was left. */
  turn() {
    const there = this.view === this.faces[this.face];
    if (there) this.face = (this.face + 1) % this.faces.length;
    this.show(this.faces[this.face]);
  }

  /** @param {View} view */
  show(view) {
    this.view = view;
    for (const name of /** @type {const} */ (['zoom', 'x', 'y'])) {
      this.frame.style.setProperty(`--${name}`, String(view[name]));
    }
    this.frame.dataset.closer = String(view.zoom > 1);
    // They keep the focus, which they would lose if they were disabled.
    this.buttons.closer.ariaDisabled = String(view.zoom >= MOST);
    this.buttons.further.ariaDisabled = this.buttons.whole.ariaDisabled = String(view.zoom <= 1);
    this.buttons.face.textContent = this.textOf(this.face + 1, this.faces.length);
  }

  /** @param {KeyboardEvent} event */
  press(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const { view } = this;
    /** @type {Record<string, () => View>} */
    const keys = {
      '+': () => zoomed(view, STEP), '=': () => zoomed(view, STEP), '-': () => zoomed(view, 1 / STEP),
      0: () => WHOLE,
      ArrowLeft: () => moved(view, WAY, 0), ArrowRight: () => moved(view, -WAY, 0),
      ArrowUp: () => moved(view, 0, WAY), ArrowDown: () => moved(view, 0, -WAY),
    };
    if (!Object.hasOwn(keys, event.key) || (event.key.startsWith('Arrow') && view.zoom <= 1)) return;
    event.preventDefault();
    this.show(keys[event.key]());
  }

  /** A wheel zooms with Ctrl (two fingers on a touchpad do the same), and where somebody has pressed the
   * photo.  Otherwise it scrolls past.
   * @param {WheelEvent} event */
  roll(event) {
    if (!event.ctrlKey && document.activeElement !== this.frame) return;
    event.preventDefault();
    const lines = event.deltaMode === 0 ? event.deltaY : 33 * event.deltaY;
    this.show(zoomed(this.view, Math.exp(-lines / (event.ctrlKey ? 100 : 400)), this.placeOf(event)));
  }

  /** @param {MouseEvent} event
   * @returns {number[]} in the frame, from 0 to 1 */
  placeOf({ clientX, clientY }) {
    const { left, top, width, height } = this.frame.getBoundingClientRect();
    return [(clientX - left) / width, (clientY - top) / height];
  }

  /** @param {PointerEvent} event */
  touch(event) {
    const { left, width } = this.frame.getBoundingClientRect();
    const cut = left + (width * parseFloat(this.frame.style.getPropertyValue('--cut'))) / 100;
    const atCut = !this.fingers.size && Math.abs(event.clientX - cut) < REACH;
    if (atCut || (this.view.zoom <= 1 && !this.fingers.size && event.pointerType !== 'touch')) return;
    this.fingers.set(event.pointerId, event);
    this.frame.setPointerCapture(event.pointerId);
    if (this.view.zoom > 1 || this.fingers.size > 1) event.stopPropagation();
  }

  /** @param {PointerEvent} event */
  drag(event) {
    const before = this.fingers.get(event.pointerId);
    if (!before) return;
    const fingers = [...this.fingers.values()];
    const [x, y] = this.placeOf(event), [fromX, fromY] = this.placeOf(before);
    this.fingers.set(event.pointerId, event);
    if (this.view.zoom <= 1 && fingers.length < 2) return; // the slider follows
    event.stopPropagation();
    const other = fingers.find(({ pointerId }) => pointerId !== event.pointerId);
    if (!other) return this.show(moved(this.view, x - fromX, y - fromY));
    const far = (/** @type {PointerEvent} */ { clientX, clientY }) => (
      Math.hypot(clientX - other.clientX, clientY - other.clientY) || 1);
    const middle = this.placeOf(other).map((value, i) => (value + [x, y][i]) / 2);
    const closer = zoomed(this.view, far(event) / far(before), middle);
    this.show(moved(closer, (x - fromX) / 2, (y - fromY) / 2));
  }
}
