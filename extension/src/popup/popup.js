// The popup: is the server there, what happens on this site, what was protected lately.

/** @import {Last, Rule} from '../common/types.js' */

import { say } from '../common/i18n.js';
import { ruleOf, stored } from '../common/storage.js';
import { tell } from '../common/messages.js';
import { allow, isAllowed, setRule, siteOf } from '../common/access.js';
import { Connection } from '../common/connection.js';
import { $, keepShown, language, make, speak } from '../common/dom.js';

/** Uploads that are shown. */
const SHOWN = 3;

speak();

// --- the site in front -----------------------------------------------------------------------------------

const [tab] = await chrome.tabs.query({ active: true, currentWindow: true });
const url = tab?.url && URL.canParse(tab.url) ? new URL(tab.url) : undefined;
const host = url && /^https?:$/.test(url.protocol) ? url.hostname : '';
/** The site that the host belongs to: the rule is the site's. */
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
  // A site that we may not enter has been loaded without us.
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

// --- what was protected ----------------------------------------------------------------------------------

/** How long ago something was, in the largest unit that it fills.
 * @param {number} time */
function ago(time) {
  const words = new Intl.RelativeTimeFormat(language(), { numeric: 'auto' });
  const minutes = Math.round((time - Date.now()) / 60_000);
  if (minutes > -60) return words.format(minutes, 'minute');
  return minutes > -24 * 60 ? words.format(Math.round(minutes / 60), 'hour') : words.format(Math.round(minutes / 1440), 'day');
}

async function showLast() {
  /** @type {Last[]} */
  const last = await tell({ type: 'last' }).catch(() => []);
  const lines = last.slice(0, SHOWN).map(({ host, photos, time }) => say(photos === 1 ? 'last_one' : 'last_many', photos, host, ago(time)));
  $('last').replaceChildren(...lines.map((line) => make('li', {}, line)));
  $('last-none').hidden = lines.length > 0;
}

$('settings').addEventListener('click', async () => {
  await chrome.runtime.openOptionsPage();
  window.close();
});

keepShown(['sites', 'last'], async () => { await Promise.all([showSite(), showLast()]); });
await new Connection((state) => { $('mend').hidden = !['down', 'barred'].includes(state); }).look();
