// Which site is meant, and what the browser lets us do there.

import { entryOf, stored } from './storage.js';
import { patternsOf, SITES } from './sites.js';
import { tell } from './messages.js';

/** @import {Rule} from './types.js' */

const READY_MADE = Object.fromEntries(Object.values(SITES).flat().map((host) => [host, true]));

/** The site that a host belongs to: one that has a rule, a well-known one, or itself.
 * @param {Record<string, Rule>} sites
 * @param {string} host */
export function siteOf(sites, host) {
  const entry = entryOf(sites, host);
  if (Object.hasOwn(sites, entry)) return entry;
  const known = entryOf(READY_MADE, host);
  return known in READY_MADE ? known : host.replace(/^www\./, '');
}

/** The host that somebody typed or pasted, be it a whole address.
 * @param {string} text
 * @returns {string} nothing where it is none, or a whole top-level domain */
export function hostIn(text) {
  const address = /^\w+:\/\//.test(text.trim()) ? text.trim() : `https://${text.trim()}`;
  const url = URL.canParse(address) ? new URL(address) : undefined;
  const host = url && /^https?:$/.test(url.protocol) ? url.hostname.replace(/\.$/, '') : '';
  return /^[\w-]+(\.[\w-]+)+$|^localhost$/.test(host) ? host : '';
}

/** @param {string[]} hosts */
const origins = (hosts) => ({ origins: hosts.flatMap(patternsOf) });

/** @param {string} host
 * @returns {Promise<boolean>} */
export const isAllowed = (host) => chrome.permissions.contains(origins([host])).catch(() => false);

/** Ask the browser to let us into sites.  It asks the user, and only within a click: await nothing before this.
 * @param {string[]} hosts
 * @returns {Promise<boolean>} */
export const allow = (hosts) => chrome.permissions.request(origins(hosts)).catch(() => false);

/** Set the rule of sites, and have the browser let us in.  The rules go first, for the browser may close a popup when it
 * asks; they are taken back where the answer is no.  Await nothing before this.
 * @param {string[]} hosts
 * @param {Rule} rule
 * @returns {Promise<boolean>} whether it is so now */
export async function setRule(hosts, rule) {
  const before = stored('sites');
  const sent = before.then(() => Promise.all(hosts.map((host) => tell({ type: 'setSite', host, rule }))));
  sent.catch(() => {}); // it is looked at below
  const allowed = rule === 'never' || await allow(hosts);
  await sent;
  if (allowed) return true;
  const sites = await before;
  const known = hosts.filter((host) => Object.hasOwn(sites, host));
  await Promise.all(known.map((host) => tell({ type: 'setSite', host, rule: sites[host] })));
  await forget(hosts.filter((host) => !known.includes(host)));
  return false;
}

/** Forget sites, what was chosen there, and the permission.
 * @param {string[]} hosts */
export async function forget(hosts) {
  if (!hosts.length) return;
  await Promise.all(hosts.map((host) => tell({ type: 'setSite', host, rule: null })));
  // What the manifest itself asks for cannot be given back.
  await Promise.all(hosts.map((host) => chrome.permissions.remove(origins([host])).catch(() => false)));
}
