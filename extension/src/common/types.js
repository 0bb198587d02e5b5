// Types that parts of the extension share; there is no code here.

/** What a site's rule says: ask for every photo, protect at once, or leave the site alone.
 * @typedef {'ask' | 'always' | 'never'} Rule */

/** `chrome.storage.local.server`: where the server is, and what pairing gave.
 * @typedef {{address: string, token: string, client: string}} Server */

/** A look in words (or the name of a preset), a level of the server, and which faces; empty: the server's own default.
 * @typedef {{prompt: string, level: string, faces: string}} Choice */

/** What is done with photos of some kind: on a site (empty: on all), with at least and at most so many faces (`most` 0:
 * however many); `level` and `faces` are empty where what was chosen stands.
 * @typedef {{site: string, least: number, most: number, level: string, faces: string}} PhotoRule */

/**
 * `chrome.storage.local`.  `sites` and `choices` have a host as key; `testing` is sent with every photo, for tests.
 * @typedef {object} Stored
 * @property {Server} server
 * @property {Record<string, Rule>} sites
 * @property {Choice} defaults
 * @property {Record<string, Choice>} choices
 * @property {PhotoRule[]} rules
 * @property {Record<string, string>} testing
 */

/** A photo that was sent: its number at the server, and the ticket that it belongs to.
 * @typedef {{id: string, ticket: string}} SentJob */

/** Photos of one upload that wait for an answer: where they were caught.
 * @typedef {{tab: number, frame: number, document: string, host: string, byUser: boolean, claimed: boolean}} Ticket */

/** A result without pixels and without a file name.
 * @typedef {{host: string, time: number, photos: number, faces: number, before: number, after: number, recognisers: number}} Last */

/**
 * `chrome.storage.session`: what must survive the service worker, and nothing else.
 * @typedef {object} Session
 * @property {Record<string, SentJob>} jobs
 * @property {Record<string, Ticket>} tickets
 * @property {Last[]} last
 */

/** `ready`: paired and answering.  `code` says more: `other` is a program that is not our server, `ailing` a server that
 * cannot protect photos now, with its reason in `detail`.
 * @typedef {{state: 'ready' | 'unpaired' | 'down', code: string, detail: string}} Status */

/** A face that the server found: left, top, right, bottom, and whether it is the owner's; null while nobody is enrolled.
 * @typedef {{box: number[], mine: boolean | null}} Face */

/** What went wrong, with a code of the server or one of ours: `down`, `no_worker`.
 * @typedef {{code: string, title: string, detail?: string}} Trouble */

/**
 * Messages to the background from pages of the extension.
 * @typedef {{type: 'status'} | {type: 'pair', code: string} | {type: 'unpair'}
 *   | {type: 'setSite', host: string, rule: Rule | null} | {type: 'last'} | {type: 'looks'} | {type: 'claim', ticket: string}
 *   | {type: 'submit', ticket: string, key: string, photo: Blob, kind: string, choice: Choice}
 *   | {type: 'faces', ticket: string, photo: Blob, kind: string} | {type: 'job', id: string}
 *   | {type: 'owner'} | {type: 'enrol', photo: Blob, kind: string} | {type: 'forgetOwner', id: string}
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
