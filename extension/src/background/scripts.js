// Which pages get our scripts: those of sites that are on and that the browser lets us into, no other.

import { patternsOf } from '../shared/sites.js';
import { stored } from '../shared/settings.js';

/** The scripts of one site, both in place before the page's own.
 * @param {string} host
 * @returns {chrome.scripting.RegisteredContentScript[]} */
function scriptsOf(host) {
  /** @type {Omit<chrome.scripting.RegisteredContentScript, 'id'>} */
  const common = {
    matches: patternsOf(host), allFrames: true, matchOriginAsFallback: true, runAt: 'document_start', persistAcrossSessions: true,
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
  const wanted = [];
  for (const [host, rule] of Object.entries(await stored('sites'))) {
    const allowed = rule !== 'never' && await chrome.permissions.contains({ origins: patternsOf(host) }).catch(() => false);
    if (allowed) wanted.push(...scriptsOf(host));
  }
  const there = new Set((await chrome.scripting.getRegisteredContentScripts()).map(({ id }) => id));
  const ids = new Set(wanted.map(({ id }) => id));
  const surplus = [...there].filter((id) => !ids.has(id));
  if (surplus.length) await chrome.scripting.unregisterContentScripts({ ids: surplus });
  const missing = wanted.filter(({ id }) => !there.has(id));
  if (missing.length) await chrome.scripting.registerContentScripts(missing);
}

/** Keep up with what the user allows and chooses. */
export function watchSites() {
  chrome.storage.local.onChanged.addListener((changes) => { if (changes.sites) syncScripts(); });
  chrome.permissions.onAdded.addListener(() => { syncScripts(); });
  chrome.permissions.onRemoved.addListener(() => { syncScripts(); });
  chrome.runtime.onInstalled.addListener(() => { syncScripts(); });
}
