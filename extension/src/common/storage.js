// What the extension remembers.

/** @import {Choice, Rule, Session, Stored} from './types.js' */

/** @type {Stored} */
const STANDARD = {
  server: { address: 'http://127.0.0.1:8765', token: '', client: '' },
  sites: {},
  defaults: { prompt: '', level: '', faces: '' },
  choices: {},
  rules: [],
  testing: {},
};
/** @type {Session} */
const STANDARD_SESSION = { jobs: {}, tickets: {}, last: [] };

/** One thing that is kept for good.
 * @template {keyof Stored} K
 * @param {K} key
 * @returns {Promise<Stored[K]>} */
export async function stored(key) {
  const found = /** @type {Partial<Stored>} */ (await chrome.storage.local.get(key));
  const value = structuredClone(found[key] ?? STANDARD[key]);
  return /** @type {any} */ (Array.isArray(value) ? value : { ...STANDARD[key], ...value });
}

/** @template {keyof Stored} K
 * @param {K} key
 * @param {Stored[K]} value */
export const store = (key, value) => chrome.storage.local.set({ [key]: value });

/** One thing that is kept until the browser is closed.
 * @template {keyof Session} K
 * @param {K} key
 * @returns {Promise<Session[K]>} */
export async function recall(key) {
  return /** @type {Session} */ (await chrome.storage.session.get({ [key]: STANDARD_SESSION[key] }))[key];
}

/** Changes of one key follow each other: two at once would lose one of them. @type {Promise<unknown>} */
let line = Promise.resolve();

/** Change a thing that is kept until the browser is closed.
 * @template {keyof Session} K
 * @param {K} key
 * @param {(value: Session[K]) => void} change
 * @returns {Promise<void>} */
export function amend(key, change) {
  const turn = line.then(async () => {
    const value = await recall(key);
    change(value);
    await chrome.storage.session.set({ [key]: value });
  });
  line = turn.catch(() => {});
  return turn;
}

/** The same for what is kept for good.
 * @template {keyof Stored} K
 * @param {K} key
 * @param {(value: Stored[K]) => void} change
 * @returns {Promise<void>} */
export function amendStored(key, change) {
  const turn = line.then(async () => {
    const value = await stored(key);
    change(value);
    await store(key, value);
  });
  line = turn.catch(() => {});
  return turn;
}

/** The host in `sites` that a page's host belongs to: itself, or the nearest domain above it that has an entry.
 * @template T
 * @param {Record<string, T>} sites
 * @param {string} host
 * @returns {string} `host` itself where none has an entry */
export function entryOf(sites, host) {
  for (let name = host; name; name = name.includes('.') ? name.slice(name.indexOf('.') + 1) : '') {
    if (Object.hasOwn(sites, name)) return name;
  }
  return host;
}

/** @param {Record<string, Rule>} sites
 * @param {string} host
 * @returns {Rule} */
export const ruleOf = (sites, host) => sites[entryOf(sites, host)] ?? 'never';

/** What was chosen for a host last, or what is chosen for all.
 * @param {string} host
 * @returns {Promise<Choice>} */
export async function choiceFor(host) {
  const [choices, defaults] = await Promise.all([stored('choices'), stored('defaults')]);
  return { ...defaults, ...choices[entryOf(choices, host)] };
}
