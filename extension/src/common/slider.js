// The slider between a photo before and after.  The server's page has the same function; a test compares
// them.

/** Let a slider move the cut between two photos that lie one above the other.
 * @param {HTMLInputElement} slider its value is the percentage that shows the photo before
 * @param {HTMLElement} photos the element around both; dragging on it moves the slider, too
 * @param {(value: number) => string} textOf the value in words, for screen readers */
export function followSlider(slider, photos, textOf) {
  const show = () => {
    photos.style.setProperty('--cut', `${slider.value}%`);
    slider.setAttribute('aria-valuetext', textOf(slider.valueAsNumber));
  };
  const drag = (/** @type {PointerEvent} */ event) => {
    if (!event.buttons) return;
    const { left, width } = photos.getBoundingClientRect();
    slider.value = String(100 * (event.clientX - left) / width);
    show();
  };
  slider.addEventListener('input', show);
  photos.addEventListener('pointerdown', drag);
  photos.addEventListener('pointermove', drag);
  photos.addEventListener('dragstart', (event) => event.preventDefault());
  show();
}
