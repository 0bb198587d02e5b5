// Types that several modules share.  There is no code here.

// --- what the server answers: a test compares these with server/page/openapi.json ----------------------

/** What went wrong (RFC 9457); `title` is for people, `code` for programs.
 * @typedef {{type: string, title: string, status: number, code: string, detail?: string}} Problem */

/** @typedef {{name: string, protocol: number}} Health */

/** What pairing by a code gives to a program.
 * @typedef {{token: string, client: string}} Token */

/** The server's half of a challenge, before this browser is paired.
 * @typedef {{nonce: string, salt: string, rounds: number, proof: string}} Challenge */

/** The number under which the server lists this browser.
 * @typedef {{client: string}} Paired */

/** The server's half of the challenge that begins a session of so many seconds.
 * @typedef {{nonce: string, seconds: number, proof: string}} Offer */

/** How the server is; `trouble` is empty, or says why it cannot protect photos now.
 * @typedef {{workers: string[], waiting: number, restarts: number, trouble: string}} Status */

/** A photo that taught the server the owner's face; `added` in seconds since 1970.
 * @typedef {{id: string, added: number}} Enrolled */

/** @typedef {{photos: Enrolled[]}} Owner */

/** The looks: name -> text; `auto` and `none` are names too.
 * @typedef {{default: string, auto: string, none: string, presets: Record<string, string>}} Prompts */

/** @typedef {{default: string, levels: string[], modes: string[], faces: string[]}} Levels */

/** The faces of a photo, the largest first.  `box`: left, top, right, bottom in pixels; `mine`: whether the
 * face is the owner's, null while the server does not know the owner.
 * @typedef {{faces: {box: number[], mine: boolean | null}[]}} Faces */

/** How far the work on one face is.  `similarity`: 1 is a typical pair of one person, 0 the recognisers'
 * threshold.
 * @typedef {{state: string, stage: string, progress: number, similarity: number | null}} Face */

/**
 * One photo at the server.  `progress` runs from 0 to 1; times are seconds since 1970.
 * @typedef {object} Job
 * @property {string} id
 * @property {'queued' | 'running' | 'done' | 'failed' | 'cancelled'} state
 * @property {string} stage
 * @property {number} face
 * @property {Face[]} faces
 * @property {number} progress
 * @property {number | null} similarity
 * @property {number} created
 * @property {number | null} ended
 * @property {boolean} cached
 * @property {boolean} expired
 * @property {Problem} [error] of a job that failed
 * @property {Report} [report] of a job that is done
 */

/** The part of a report that the extension reads: each face's box, the recognisers' verdicts on it, before
 * and after, and how long the work took.
 * @typedef {{faces: {box: number[], recognisers: Record<string, Verdict>}[], seconds: number}} Report */

/** Whether a recogniser takes the face for the owner's.
 * @typedef {{matched_before: boolean, matched_after: boolean}} Verdict */

/**
 * What can be asked for with a photo.  The server has a default for each.
 * @typedef {object} Options
 * @property {'dodge' | 'impersonate'} [mode]
 * @property {string} [level]
 * @property {string} [faces]
 * @property {'residual' | 'generator'} [render]
 * @property {string} [prompt]
 * @property {string} [source_text]
 * @property {number} [seed]
 * @property {number} [steps]
 * @property {'auto' | number} [target]
 */

// --- what the extension keeps ----------------------------------------------------------------------------

/** What happens to photos on a site: ask about each, protect them at once, or leave the site alone.
 * @typedef {'ask' | 'always' | 'never'} Rule */

/** `chrome.storage.local.server`: the server's address, and what pairing gave: a secret that never travels,
 * and the number under which the server lists this browser.  A `token` is from an older version.
 * @typedef {{address: string, token: string, client: string, secret: string}} Server */

/** A look (its name or the user's own words), a strength, and which faces.  Empty: the server's default.
 * @typedef {{prompt: string, level: string, faces: string}} Choice */

/** A rule for photos of one kind: those on a site (empty: every site) with `least` to `most` faces (`most` 0:
 * no upper limit).  `level` and `faces` replace the user's choice; empty: the choice stays.
 * @typedef {{site: string, least: number, most: number, level: string, faces: string}} PhotoRule */

/** What goes on by itself: whether protection begins as soon as photos are chosen (`begin`), and whether
 * photos without a face go to sites that ask about nothing (`faceless`).
 * @typedef {{begin: boolean, faceless: boolean}} Habits */

/**
 * `chrome.storage.local`.  The keys of `sites` and `choices` are hosts.  `testing` is sent with
 * every photo, for tests.
 * @typedef {object} Stored
 * @property {Server} server
 * @property {Record<string, Rule>} sites
 * @property {Choice} defaults
 * @property {Record<string, Choice>} choices
 * @property {PhotoRule[]} rules
 * @property {Habits} habits
 * @property {number[]} paces seconds that a face of the latest photos took
 * @property {Record<string, string>} testing
 */

/** A photo at the server: its number there, and the ticket of its upload.
 * @typedef {{id: string, ticket: string}} SentJob */

/** An upload that waits for an answer: the place where its photos were caught.
 * @typedef {object} Ticket
 * @property {number} tab
 * @property {number} frame
 * @property {string} document
 * @property {string} host
 * @property {boolean} byUser whether a person brought the photos, not a script of the page
 * @property {number} turn its place among the uploads of its tab
 * @property {boolean} shown whether it is its turn: a tab shows one dialog at a time
 * @property {boolean} claimed whether a dialog has taken the upload up
 * @property {number} [dialog] the frame of that dialog
 */

/** What is remembered of an upload: no pixels, no file names.
 * @typedef {object} Last
 * @property {string} host
 * @property {number} time milliseconds since 1970
 * @property {number} photos
 * @property {number} faces
 * @property {number} before matches before protection
 * @property {number} after matches after protection
 * @property {number} recognisers that were asked, over all faces
 */

/**
 * `chrome.storage.session`: what must outlive the service worker, and nothing else.
 * @typedef {object} Session
 * @property {Record<string, SentJob>} jobs
 * @property {Record<string, Ticket>} tickets
 * @property {Last[]} last
 */

// --- what parts of the extension tell each other ---------------------------------------------------------

/** `ready`: paired and answering.  `code` says more: `other` is a program that is not our server, `ailing` a
 * server that cannot protect photos now, with its reason in `detail`.
 * @typedef {{state: 'ready' | 'unpaired' | 'down', code: string, detail: string}} ServerState */

/** What can be chosen for a photo, and by how many photos the server knows the owner.
 * @typedef {{prompts: Prompts, levels: Levels, enrolled: number}} Looks */

/** @typedef {Faces['faces'][number]} FoundFace */

/** What went wrong, with a code of the server or one of ours: `down`, `no_worker`.
 * @typedef {{code: string, title: string, detail?: string}} Trouble */

/**
 * Messages to the background from pages of the extension.
 * @typedef {{type: 'status'} | {type: 'pair', code: string} | {type: 'unpair'}
 *   | {type: 'setSite', host: string, rule: Rule | null} | {type: 'last'} | {type: 'looks'}
 *   | {type: 'claim', ticket: string} | {type: 'size', ticket: string, small: boolean} | {type: 'settings'}
 *   | {type: 'submit', ticket: string, key: string, photo: Blob, kind: string, choice: Choice}
 *   | {type: 'faces', ticket: string, photo: Blob, kind: string} | {type: 'job', id: string}
 *   | {type: 'owner'} | {type: 'enrol', photo: Blob, kind: string}
 *   | {type: 'result', id: string} | {type: 'drop', id: string}
 *   | {type: 'finished', ticket: string, choice: Choice | null, last: Last | null}
 * } Message */

/** Every answer of the background.
 * @template T
 * @typedef {{ok: T} | {trouble: Trouble}} Answer */

/** What the page gets for one photo.
 * @typedef {{use: 'protected', photo: Blob} | {use: 'original'} | {use: 'skip'}} Decision */

/** The dialog's answer to the script that caught the photos; the decisions are in the photos' order.
 * @typedef {{type: 'deliver', decisions: Decision[]} | {type: 'cancel'}} ToPage */

export {};
