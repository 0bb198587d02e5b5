// The popup: the server's state, the rule of the site in front, the latest uploads.

/** @import {Last, Rule} from '../common/types.js' */

import { allow, isAllowed, setRule } from '../common/access.js';
import { Connection } from '../common/connection.js';
import { $, keepShown, language, make, translatePage } from '../common/dom.js';
import { say } from '../common/i18n.js';
import { tell } from '../common/messages.js';
import { ruleOf, siteOf } from '../common/sites.js';
import { stored } from '../common/storage.js';
import { agoIn } from './ago.js';

/** Uploads that are shown. */
const SHOWN = 3;

translatePage();

// --- the site in front -----------------------------------------------------------------------------------

const [tab] = await chrome.tabs.query({ active: true, currentWindow: true });
const url = tab?.url && URL.canParse(tab.url) ? new URL(tab.url) : undefined;
const host = url && /^https?:$/.test(url.protocol) ? url.hostname : '';
/** The site that the host belongs to. */
let site = host;
/** The rule that the page in front was loaded with. @type {Rule | undefined} */
let atFirst;

async function showSite() {
  $('site').hidden = !host;
  $('no-site').hidden = Boolean(host);
  if (!host) return;
  const sites = await stored('sites');
  site = siteOf(sites, host);
  const rule = ruleOf(sites, site), allowed = await isAllowed(site);
  // A page of a site that we may not enter was loaded without our scripts.
  atFirst ??= allowed ? rule : 'never';
  $('host').textContent = site;
  for (const choice of $('site').querySelectorAll('input')) choice.checked = choice.value === rule;
  $('barred').hidden = rule === 'never' || allowed;
  $('stale').hidden = !allowed || (rule === 'never') === (atFirst === 'never');
}

$('site').addEventListener('change', async (/** @type {any} */ { target }) => {
  $('refused').textContent = '';
  if (await setRule([site], target.value)) return;
  $('refused').textContent = say('site_refused');
  await showSite();
});

$('allow').addEventListener('click', () => allow([site]));
$('reload').addEventListener('click', async () => {
  await chrome.tabs.reload(tab.id ?? 0);
  window.close();
});

// --- the latest uploads ----------------------------------------------------------------------------------

async function showLast() {
  /** @type {Last[]} */
  const last = await tell({ type: 'last' }).catch(() => []);
  const lines = last.slice(0, SHOWN).map(({ host, photos, time }) => (
    say(photos === 1 ? 'last_one' : 'last_many', photos, host, agoIn(language(), Date.now() - time))));
  $('last').replaceChildren(...lines.map((line) => make('li', {}, line)));
  $('last-none').hidden = lines.length > 0;
}

$('settings').addEventListener('click', async () => {
  await chrome.runtime.openOptionsPage();
  window.close();
});

keepShown(['sites', 'last'], async () => { await Promise.all([showSite(), showLast()]); });
await new Connection((state) => { $('mend').hidden = !['down', 'barred'].includes(state); }).look();
