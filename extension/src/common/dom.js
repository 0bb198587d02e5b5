// Helpers for the extension's own pages.

import { say, translate } from './i18n.js';

/** @param {string} id
 * @returns {any} */
export const $ = (id) => document.getElementById(id);

/** An element with properties and children.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} kind
 * @param {Partial<Record<string, unknown>>} [properties]
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[K]} */
export function make(kind, properties = {}, ...children) {
  const element = Object.assign(document.createElement(kind), properties);
  element.append(...children);
  return element;
}

/** A button with a text, and a longer name for screen readers.
 * @param {string} key of the text
 * @param {string} name
 * @param {string} [className] */
export function makeButton(key, name, className = '') {
  return make('button', { type: 'button', className, textContent: key && say(key), ariaLabel: name });
}

/** The language of our texts.  The browser's own language may be one that we have no texts in. */
export const language = () => say('language');

/** Put the texts into the page. */
export function translatePage() {
  document.documentElement.lang = language();
  translate(document);
}

/** Show something now, and again whenever a stored value or a permission changes.
 * @param {string[]} keys of the stored values
 * @param {() => Promise<void>} show */
export function keepShown(keys, show) {
  let turn = show(); // one after the other: the newest state is shown last
  const again = () => { turn = turn.then(show, show); };
  chrome.storage.onChanged.addListener((changes) => { if (keys.some((key) => key in changes)) again(); });
  chrome.permissions.onAdded.addListener(again);
  chrome.permissions.onRemoved.addListener(again);
}
