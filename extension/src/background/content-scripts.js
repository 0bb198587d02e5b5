// Registers our scripts for pages of sites that are on and that the browser lets us into, and for no others.

import { isAllowed } from '../common/access.js';
import { exceptionsOf, patternsOf, rootsOf, ruleOf } from '../common/sites.js';
import { stored } from '../common/storage.js';

/** The scripts that share a world of their own, in their order. */
const OURS = ['photo-files', 'photo-texts', 'deliver', 'frame', 'hold', 'catch']
  .map((name) => `src/content/${name}.js`);
/** The script in the page's own world. */
const HOOK = ['src/content/hook.js'];

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
    { ...common, id: `catch ${host}`, js: OURS, world: 'ISOLATED' },
    { ...common, id: `hook ${host}`, js: HOOK, world: 'MAIN' },
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
  const tabs = on.length ? await chrome.tabs.query({ url: on.flatMap(patternsOf) }) : [];
  await Promise.all(tabs.map((tab) => reachTab(tab)));
}

/** Put our scripts into a tab of a site that is on, where they are missing: the page was there before, or
 * came back from the history.
 * @param {chrome.tabs.Tab} tab
 * @returns {Promise<boolean>} whether they are there now; true for a site that is off */
export async function reachTab(tab) {
  const sites = await stored('sites');
  const on = (/** @type {string} */ address) => (
    URL.canParse(address) && ruleOf(sites, new URL(address).hostname) !== 'never');
  if (tab.id === undefined || !on(tab.url ?? '')) return true;
  try {
    const everywhere = { target: { tabId: tab.id, allFrames: true }, injectImmediately: true };
    const frames = await chrome.scripting.executeScript({ ...everywhere, func: look });
    const bare = frames.filter(({ result }) => (
      result && !result.started && (result.origin === 'null' || on(result.origin))));
    if (!bare.length) return frames.some(({ frameId }) => frameId === 0);
    const frameIds = bare.map(({ frameId }) => frameId);
    const there = { target: { tabId: tab.id, frameIds }, injectImmediately: true };
    await chrome.scripting.executeScript({ ...there, files: OURS });
    await chrome.scripting.executeScript({ ...there, files: HOOK, world: 'MAIN' });
    return true;
  } catch {
    return false;
  }
}

/** Runs in a page: whether our scripts are there. */
function look() {
  return { started: Boolean(globalThis.clip2protect?.started), origin: globalThis.origin };
}

/** Follow what the user chooses and allows. */
export function watchSites() {
  chrome.storage.local.onChanged.addListener((changes) => { if (changes.sites) syncScripts(); });
  chrome.permissions.onAdded.addListener(() => { syncScripts(); });
  chrome.permissions.onRemoved.addListener(() => { syncScripts(); });
  chrome.runtime.onInstalled.addListener(() => { syncScripts(); });
  chrome.runtime.onStartup.addListener(() => { syncScripts(); });
}
