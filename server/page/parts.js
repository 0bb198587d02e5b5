// Helpers that the parts of the page share: elements, texts, problems, the slider.

import { words } from './server.js';

/** Types of photos -> how the names of results end. */
export const ENDINGS = { 'image/jpeg': '.jpg', 'image/png': '.png', 'image/webp': '.webp' };

export const $ = (selector, root = document) => root.querySelector(selector);
export const make = (kind, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(kind), properties);
  element.append(...children);
  return element;
};
export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
export const day = (seconds) => (
  new Date(1000 * seconds).toLocaleString([], { dateStyle: 'medium', timeStyle: 'short' }));
/** A line of a list: a title, more about it, and a button. */
export const entry = (title, more, button) => (
  make('li', {}, make('div', {}, title, make('small', { textContent: more })), button));
export const isPhoto = (file) => file.type in ENDINGS;

/** Do something; an element of the page says what went wrong. */
export async function attempt(place, action) {
  $(place).textContent = '';
  await action().catch((problem) => { $(place).textContent = words(problem); });
}

// The extension has the same function (src/common/slider.js); a test compares them.

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
