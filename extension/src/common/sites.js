// Sites: the well-known ones, the rule of a host, and what a person types for a site.  Nothing here asks the
// browser.

/** @import {Rule} from './types.js' */

/** Sites that are offered; none is on until the user turns it on.  Name -> hosts; hosts below them belong to
 * them.
 * @type {Record<string, string[]>} */
export const SITES = {
  Facebook: ['facebook.com', 'messenger.com'],
  Instagram: ['instagram.com'],
  X: ['x.com', 'twitter.com'],
  LinkedIn: ['linkedin.com'],
  Reddit: ['reddit.com'],
  TikTok: ['tiktok.com'],
  'WhatsApp Web': ['web.whatsapp.com'],
  Discord: ['discord.com'],
  Tinder: ['tinder.com'],
  Bluesky: ['bsky.app'],
  Mastodon: [
    'mastodon.social', 'mastodon.online', 'mstdn.social', 'mas.to', 'fosstodon.org', 'hachyderm.io',
    'chaos.social',
  ],
};

const WELL_KNOWN = Object.fromEntries(Object.values(SITES).flat().map((host) => [host, true]));

/** The match patterns of a host.  An address in numbers has no hosts below it.
 * @param {string} host
 * @returns {string[]} */
export function patternsOf(host) {
  return [/^[\d.]+$|^\[|^localhost$/.test(host) ? `*://${host}/*` : `*://*.${host}/*`];
}

/** The hosts whose patterns do not match another host's pages too: below a host that is on, its patterns
 * suffice.
 * @param {string[]} hosts
 * @returns {string[]} */
export function rootsOf(hosts) {
  const covered = (/** @type {string} */ host) => hosts.some((other) => (
    host.endsWith(`.${other}`) && patternsOf(other)[0].startsWith('*://*.')));
  return hosts.filter((host) => !covered(host));
}

/** The hosts below a host that are off.
 * @param {Record<string, Rule>} sites
 * @param {string} host
 * @returns {string[]} */
export function exceptionsOf(sites, host) {
  return Object.keys(sites).filter((other) => sites[other] === 'never' && other.endsWith(`.${host}`));
}

/** The key of a host's entry: the host itself, or the nearest domain above it that has an entry.
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
export function ruleOf(sites, host) {
  const entry = entryOf(sites, host);
  return Object.hasOwn(sites, entry) ? sites[entry] : 'never';
}

/** The site that a host belongs to: one that has a rule, a well-known one, or the host itself.
 * @param {Record<string, Rule>} sites
 * @param {string} host */
export function siteOf(sites, host) {
  const entry = entryOf(sites, host);
  if (Object.hasOwn(sites, entry)) return entry;
  const known = entryOf(WELL_KNOWN, host);
  return Object.hasOwn(WELL_KNOWN, known) ? known : host.replace(/^www\./, '');
}

/** The host in a text that a person typed or pasted, which may be a whole address.
 * @param {string} text
 * @returns {string} empty where there is none, or only a top-level domain */
export function hostIn(text) {
  const address = /^\w+:\/\//.test(text.trim()) ? text.trim() : `https://${text.trim()}`;
  const url = URL.canParse(address) ? new URL(address) : undefined;
  const host = url && /^https?:$/.test(url.protocol) ? url.hostname.replace(/\.$/, '') : '';
  return /^[\w-]+(\.[\w-]+)+$|^localhost$/.test(host) ? host : '';
}

/** The origin of an address on this machine.
 * @param {string} address
 * @returns {string} empty where the address is elsewhere, or none */
export function loopbackOrigin(address) {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  return url?.protocol === 'http:' && ['127.0.0.1', 'localhost'].includes(url.hostname) ? url.origin : '';
}
