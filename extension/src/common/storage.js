// What the extension keeps: for good in `chrome.storage.local`, until the browser is closed in
// `chrome.storage.session`.

/** @import {Choice, Session, Stored} from './types.js' */

import { entryOf } from './sites.js';

/** @type {Stored} */
const INITIAL = {
  server: { address: 'http://127.0.0.1:8765', token: '', client: '', secret: '' },
  sites: {},
  defaults: { prompt: '', level: '', faces: '' },
  choices: {},
  rules: [],
  habits: { begin: true, faceless: false },
  paces: [],
  testing: {},
};
/** @type {Session} */
const INITIAL_SESSION = { jobs: {}, tickets: {}, last: [] };

/** A value as it is kept, complete: properties that an older version did not keep have their initial value.
 * @template {keyof Stored} K
 * @param {K} key
 * @param {Partial<Stored[K]> | undefined} value undefined where nothing is kept
 * @returns {Stored[K]} a copy */
export function completed(key, value) {
  const whole = structuredClone(value ?? INITIAL[key]);
  return /** @type {any} */ (Array.isArray(whole) ? whole : { ...structuredClone(INITIAL[key]), ...whole });
}

/** Read a value that is kept for good.
 * @template {keyof Stored} K
 * @param {K} key
 * @returns {Promise<Stored[K]>} */
export async function stored(key) {
  const values = /** @type {Partial<Stored>} */ (await chrome.storage.local.get(key));
  return completed(key, values[key]);
}

/** @template {keyof Stored} K
 * @param {K} key
 * @param {Stored[K]} value */
export const store = (key, value) => chrome.storage.local.set({ [key]: value });

/** Read a value that is kept until the browser is closed.
 * @template {keyof Session} K
 * @param {K} key
 * @returns {Promise<Session[K]>} */
export async function recall(key) {
  return /** @type {Session} */ (await chrome.storage.session.get({ [key]: INITIAL_SESSION[key] }))[key];
}

/** Changes follow each other: of two at once, one would be lost. @type {Promise<unknown>} */
let changes = Promise.resolve();

/** @param {() => Promise<void>} change
 * @returns {Promise<void>} */
function inTurn(change) {
  const turn = changes.then(change);
  changes = turn.catch(() => {});
  return turn;
}

/** Change a value that is kept until the browser is closed.
 * @template {keyof Session} K
 * @param {K} key
 * @param {(value: Session[K]) => void} change
 * @returns {Promise<void>} */
export function amend(key, change) {
  return inTurn(async () => {
    const value = await recall(key);
    change(value);
    await chrome.storage.session.set({ [key]: value });
  });
}

/** Change a value that is kept for good.
 * @template {keyof Stored} K
 * @param {K} key
 * @param {(value: Stored[K]) => void} change
 * @returns {Promise<void>} */
export function amendStored(key, change) {
  return inTurn(async () => {
    const value = await stored(key);
    change(value);
    await store(key, value);
  });
}

/** The choice that an upload on a host begins with: the last one there, or the user's defaults.
 * @param {string} host
 * @returns {Promise<Choice>} */
export async function choiceFor(host) {
  const [choices, defaults] = await Promise.all([stored('choices'), stored('defaults')]);
  return { ...defaults, ...choices[entryOf(choices, host)] };
}
