// Which pages get our scripts: those of sites that are on and that the browser lets us into, no other.

import { patternsOf } from '../common/sites.js';
import { stored } from '../common/storage.js';

/** The scripts of one site, both in place before the page's own.
 * @param {string} host
 * @param {string[]} except hosts below it that are off
 * @returns {chrome.scripting.RegisteredContentScript[]} */
function scriptsOf(host, except) {
  /** @type {Omit<chrome.scripting.RegisteredContentScript, 'id'>} */
  const common = {
    matches: patternsOf(host), excludeMatches: except.flatMap(patternsOf), allFrames: true, matchOriginAsFallback: true,
    runAt: 'document_start', persistAcrossSessions: true,
  };
  return [
    { ...common, id: `catch ${host}`, js: ['src/content/deliver.js', 'src/content/frame.js', 'src/content/catch.js'], world: 'ISOLATED' },
    { ...common, id: `hook ${host}`, js: ['src/content/hook.js'], world: 'MAIN' },
  ];
}

/** One call after the other, so that two do not register the same. @type {Promise<void>} */
let turn = Promise.resolve();

/** Register what should be, and nothing else. */
export function syncScripts() {
  turn = turn.then(sync, sync);
  return turn;
}

async function sync() {
  const sites = await stored('sites'), on = [], wanted = [];
  for (const host of Object.keys(sites)) {
    const allowed = sites[host] !== 'never' && await chrome.permissions.contains({ origins: patternsOf(host) }).catch(() => false);
    if (allowed) on.push(host);
  }
  for (const host of on) {
    // A host below one that is on has its scripts already: twice would ask twice.
    if (on.some((other) => host.endsWith(`.${other}`) && patternsOf(other)[0].startsWith('*://*.'))) continue;
    wanted.push(...scriptsOf(host, Object.keys(sites).filter((other) => sites[other] === 'never' && other.endsWith(`.${host}`))));
  }
  const there = new Set((await chrome.scripting.getRegisteredContentScripts()).map(({ id }) => id));
  const ids = new Set(wanted.map(({ id }) => id));
  const surplus = [...there].filter((id) => !ids.has(id));
  if (surplus.length) await chrome.scripting.unregisterContentScripts({ ids: surplus });
  const kept = wanted.filter(({ id }) => there.has(id)), missing = wanted.filter(({ id }) => !there.has(id));
  if (kept.length) await chrome.scripting.updateContentScripts(kept);
  if (missing.length) await chrome.scripting.registerContentScripts(missing);
}

/** Keep up with what the user allows and chooses. */
export function watchSites() {
  chrome.storage.local.onChanged.addListener((changes) => { if (changes.sites) syncScripts(); });
  chrome.permissions.onAdded.addListener(() => { syncScripts(); });
  chrome.permissions.onRemoved.addListener(() => { syncScripts(); });
  chrome.runtime.onInstalled.addListener(() => { syncScripts(); });
}
