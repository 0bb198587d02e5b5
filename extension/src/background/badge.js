// The badge on the extension's button: off, on, unpaired, error, or a page that our scripts do not reach.

import { ruleOf } from '../common/sites.js';
import { stored } from '../common/storage.js';
import { reachTab } from './content-scripts.js';

/** State -> text and colour. @type {Record<string, [string, string]>} */
const BADGES = {
  off: ['', '#59636e'], on: ['on', '#15693a'], bare: ['↻', '#a5241c'],
  unpaired: ['?', '#8a5a00'], error: ['!', '#a5241c'],
};

/** @param {'ready' | 'unpaired' | 'down'} state of the server */
export async function showBadge(state) {
  await chrome.storage.session.set({ badge: state });
  await Promise.all((await chrome.tabs.query({ active: true })).map((tab) => showFor(tab).catch(() => {})));
}

/** @param {chrome.tabs.Tab} tab */
async function showFor(tab) {
  const { badge } = /** @type {{badge: string}} */ (await chrome.storage.session.get({ badge: 'ready' }));
  // The browser tells the address only of sites that we may enter: elsewhere we are off.
  const host = tab.url && URL.canParse(tab.url) ? new URL(tab.url).hostname : '';
  const on = ruleOf(await stored('sites'), host) !== 'never';
  const bare = on && tab.status === 'complete' && !await reachTab(tab);
  const ofServer = { unpaired: 'unpaired', down: 'error' }[badge] ?? 'on';
  const name = bare ? 'bare' : on ? ofServer : 'off';
  const [text, color] = BADGES[name];
  await chrome.action.setBadgeText({ tabId: tab.id, text });
  await chrome.action.setBadgeBackgroundColor({ tabId: tab.id, color });
}

/** Follow the tabs. */
export function watchBadge() {
  chrome.tabs.onUpdated.addListener((_, changes, tab) => {
    if (changes.status) showFor(tab).catch(() => {});
  });
  chrome.tabs.onActivated.addListener(({ tabId }) => {
    chrome.tabs.get(tabId).then(showFor).catch(() => {});
  });
}
