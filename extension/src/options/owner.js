// The card with the photos that taught the server the user's face.

/** @import {Enrolled} from '../common/types.js' */

import { $, language, make } from '../common/dom.js';
import { troubleOf } from '../common/errors.js';
import { say, wordsOf } from '../common/i18n.js';
import { tell } from '../common/messages.js';

/** Troubles of one photo -> their texts. @type {Record<string, string>} */
const OF_PHOTOS = {
  no_face: 'enrol_no_face', bad_image: 'enrol_unreadable', unsupported_content: 'enrol_unreadable',
};
/** Troubles that the next photos would have too -> their texts. @type {Record<string, string>} */
const OF_ALL = {
  too_many_enrolled: 'enrol_full', down: 'owner_away', other: 'owner_away', unpaired: 'owner_away',
  no_worker: 'owner_away',
};

/** Called when the photos have changed. */
let changed = async () => {};

/** @param {string} news
 * @param {string} [problem] */
function report(news, problem = '') {
  $('owner-news').textContent = news;
  $('owner-problem').textContent = problem;
}

/** Show the photos.
 * @param {Enrolled[] | undefined} photos undefined while the server does not answer */
export function showOwner(photos) {
  $('owner').hidden = !photos;
  $('owner-offline').hidden = Boolean(photos);
  if (!photos) return;
  const time = new Intl.DateTimeFormat(language(), { dateStyle: 'long', timeStyle: 'short' });
  const rows = photos.map(({ added }, i) => {
    const words = say('owner_photo', i + 1, time.format(added * 1000));
    return make('li', {}, make('span', {}, words));
  });
  $('owner-photos').replaceChildren(...rows);
  $('owner-page').hidden = !rows.length;
  $('owner-none').hidden = rows.length > 0;
}

/** Let the server learn the face from photos, one after the other.
 * @param {File[]} files */
async function learn(files) {
  /** What went wrong -> names of the photos. @type {Record<string, string[]>} */
  const failures = {};
  let learnt = 0, end = '';
  for (const [i, file] of files.entries()) {
    report(say('learning', i + 1, files.length));
    try {
      await tell({ type: 'enrol', photo: file, kind: file.type || 'application/octet-stream' });
      learnt += 1;
    } catch (error) {
      const trouble = troubleOf(error);
      end = OF_ALL[trouble.code] ?? '';
      if (end) break;
      (failures[OF_PHOTOS[trouble.code] ?? wordsOf(trouble)] ??= []).push(file.name);
    }
  }
  const known = Object.values(OF_PHOTOS);
  const problems = Object.entries(failures).map(([what, names]) => (
    known.includes(what) ? say(what, names.join(', ')) : `${names.join(', ')}: ${what}`));
  report(learnt ? say('learnt', learnt, files.length) : '', [...problems, end && say(end)].join(' '));
  await changed();
}

/** Let the user add and remove photos.
 * @param {() => Promise<void>} onChange */
export function offerOwner(onChange) {
  changed = onChange;
  const add = $('owner-add'), input = $('owner-files');
  // A disabled button would lose the keyboard's focus while photos are learnt.
  add.addEventListener('click', () => { if (add.ariaDisabled !== 'true') input.click(); });
  input.addEventListener('change', async () => {
    const files = [...input.files];
    input.value = ''; // so that the same photo can be chosen again
    add.ariaDisabled = 'true';
    await learn(files);
    add.ariaDisabled = 'false';
  });
}
