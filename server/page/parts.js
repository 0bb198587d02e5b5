// What the parts of the page share: finding and making elements, wording, telling problems.

import { words } from './server.js';

/** Types of photos, and how the results' names end. */
export const ENDINGS = { 'image/jpeg': '.jpg', 'image/png': '.png', 'image/webp': '.webp' };

export const $ = (selector, root = document) => root.querySelector(selector);
export const make = (kind, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(kind), properties);
  element.append(...children);
  return element;
};
export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
export const day = (seconds) => new Date(1000 * seconds).toLocaleString([], { dateStyle: 'medium', timeStyle: 'short' });
/** A line of a list: what it is, more about it, and what can be done with it. */
export const entry = (what, more, button) => make('li', {}, make('div', {}, what, make('small', { textContent: more })), button);
export const isPhoto = (file) => file.type in ENDINGS;

/** Do something, and say in a place of the page what went wrong. */
export async function attempt(place, action) {
  $(place).textContent = '';
  await action().catch((problem) => { $(place).textContent = words(problem); });
}
