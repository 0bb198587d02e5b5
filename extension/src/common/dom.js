// Small things that the extension's own pages share.

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

/** The language of our words; the browser's own may be one that we have none in. */
export const language = () => say('language');

/** Put the words in. */
export function speak() {
  document.documentElement.lang = language();
  translate(document);
}

/** Have something shown now, and whenever what it depends on changes.
 * @param {string[]} keys of what the extension remembers
 * @param {() => Promise<void>} show */
export function keepShown(keys, show) {
  let turn = show(); // one after the other: what was looked at last is what stays
  const again = () => { turn = turn.then(show, show); };
  chrome.storage.onChanged.addListener((changes) => { if (keys.some((key) => key in changes)) again(); });
  chrome.permissions.onAdded.addListener(again);
  chrome.permissions.onRemoved.addListener(again);
}
