// Sites that are offered ready-made.  None is on until the user turns it on.

/** Name of the site -> its hosts; hosts below them belong to them.
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
  Mastodon: ['mastodon.social', 'mastodon.online', 'mstdn.social', 'mas.to', 'fosstodon.org', 'hachyderm.io', 'chaos.social'],
};

/** The match patterns of a host; an address in numbers has no hosts below it.
 * @param {string} host
 * @returns {string[]} */
export const patternsOf = (host) => [/^[\d.]+$|^\[|^localhost$/.test(host) ? `*://${host}/*` : `*://*.${host}/*`];
