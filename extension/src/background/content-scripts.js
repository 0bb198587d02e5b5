// Registers our scripts for pages of sites that are on and that the browser lets us into, and for no others.

import { isAllowed } from '../common/access.js';
import { exceptionsOf, patternsOf, rootsOf } from '../common/sites.js';
import { stored } from '../common/storage.js';

/** The scripts that share a world of their own, in their order. */
const ISOLATED = ['photo-files', 'deliver', 'frame', 'catch'].map((name) => `src/content/${name}.js`);

/** The scripts of one site.  They run before the page's own.
 * @param {string} host
 * @param {string[]} except hosts below it that are off
 * @returns {chrome.scripting.RegisteredContentScript[]} */
function scriptsOf(host, except) {
  /** @type {Omit<chrome.scripting.RegisteredContentScript, 'id'>} */
  const common = {
    matches: patternsOf(host), excludeMatches: except.flatMap(patternsOf), allFrames: true,
    matchOriginAsFallback: true, runAt: 'document_start', persistAcrossSessions: true,
  };
  return [
    { ...common, id: `catch ${host}`, js: ISOLATED, world: 'ISOLATED' },
    { ...common, id: `hook ${host}`, js: ['src/content/hook.js'], world: 'MAIN' },
  ];
}

/** One call after the other: two at once would register the same scripts. @type {Promise<void>} */
let turn = Promise.resolve();

/** Register the scripts that are wanted, and unregister all others. */
export function syncScripts() {
  turn = turn.then(sync, sync);
  return turn;
}

async function sync() {
  const sites = await stored('sites'), on = [];
  for (const host of Object.keys(sites)) if (sites[host] !== 'never' && await isAllowed(host)) on.push(host);
  const wanted = rootsOf(on).flatMap((host) => scriptsOf(host, exceptionsOf(sites, host)));
  const registered = new Set((await chrome.scripting.getRegisteredContentScripts()).map(({ id }) => id));
  const ids = new Set(wanted.map(({ id }) => id));
  const surplus = [...registered].filter((id) => !ids.has(id));
  if (surplus.length) await chrome.scripting.unregisterContentScripts({ ids: surplus });
  const kept = wanted.filter(({ id }) => registered.has(id));
  const missing = wanted.filter(({ id }) => !registered.has(id));
  if (kept.length) await chrome.scripting.updateContentScripts(kept);
  if (missing.length) await chrome.scripting.registerContentScripts(missing);
}

/** Follow what the user chooses and allows. */
export function watchSites() {
  chrome.storage.local.onChanged.addListener((changes) => { if (changes.sites) syncScripts(); });
  chrome.permissions.onAdded.addListener(() => { syncScripts(); });
  chrome.permissions.onRemoved.addListener(() => { syncScripts(); });
  chrome.runtime.onInstalled.addListener(() => { syncScripts(); });
}
