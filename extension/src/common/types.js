// Types that parts of the extension share; there is no code here.

/** What a site's rule says: ask for every photo, protect at once, or leave the site alone.
 * @typedef {'ask' | 'always' | 'never'} Rule */

/** `chrome.storage.local.server`: where the server is, and what pairing gave.
 * @typedef {{address: string, token: string, client: string}} Server */

/** A look in words (or the name of a preset), and a level of the server.
 * @typedef {{prompt: string, level: string}} Choice */

/**
 * `chrome.storage.local`.  `sites` and `choices` have a host as key; `testing` is sent with every photo, for tests.
 * @typedef {object} Stored
 * @property {Server} server
 * @property {Record<string, Rule>} sites
 * @property {Choice} defaults
 * @property {Record<string, Choice>} choices
 * @property {Record<string, string>} testing
 */

/** A photo that was sent: its number at the server, and the tab and the ticket that it belongs to.
 * @typedef {{id: string, tab: number, ticket: string}} SentJob */

/** Photos of one upload that wait for an answer: where they were caught.
 * @typedef {{tab: number, frame: number, document: string, host: string, claimed: boolean}} Ticket */

/** A result without pixels and without a file name.
 * @typedef {{host: string, time: number, faces: number, before: number, after: number, recognisers: number}} Last */

/**
 * `chrome.storage.session`: what must survive the service worker, and nothing else.
 * @typedef {object} Session
 * @property {Record<string, SentJob>} jobs
 * @property {Record<string, Ticket>} tickets
 * @property {Last[]} last
 */

/** `ready`: paired and answering.
 * @typedef {{state: 'ready' | 'unpaired' | 'down', detail: string}} Status */

/** What went wrong, with a code of the server or one of ours: `down`, `no_worker`.
 * @typedef {{code: string, title: string, detail?: string}} Trouble */

/**
 * Messages to the background from pages of the extension.
 * @typedef {{type: 'status'} | {type: 'pair', code: string} | {type: 'unpair'} | {type: 'site', host: string}
 *   | {type: 'setSite', host: string, rule: Rule} | {type: 'last'} | {type: 'looks'} | {type: 'claim', ticket: string}
 *   | {type: 'submit', ticket: string, key: string, photo: Blob, kind: string, choice: Choice}
 *   | {type: 'job', id: string}
 *   | {type: 'result', id: string} | {type: 'drop', id: string}
 *   | {type: 'finished', ticket: string, choice: Choice | null, last: Last | null}
 * } Message */

/** Every answer of the background.
 * @template T
 * @typedef {{ok: T} | {trouble: Trouble}} Answer */

/** What becomes of one photo.
 * @typedef {{use: 'protected', photo: Blob} | {use: 'original'} | {use: 'skip'}} Decision */

/** What the dialog tells the script that caught the photos, in their order.
 * @typedef {{type: 'deliver', decisions: Decision[]} | {type: 'cancel'}} ToPage */

export {};
