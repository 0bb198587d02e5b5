// The photos by which the server knows the user's face.

import { say, wordsOf } from '../common/i18n.js';
import { $, language, make } from '../common/dom.js';
import { tell } from '../common/messages.js';
import { troubleOf } from '../common/errors.js';
import { putRows } from './row-list.js';

/** What is said of photos that were not learnt. @type {Record<string, string>} */
const OF_PHOTOS = { no_face: 'enrol_no_face', bad_image: 'enrol_unreadable', unsupported_content: 'enrol_unreadable' };
/** Troubles that the photos after it would have too. @type {Record<string, string>} */
const OF_ALL = {
  too_many_enrolled: 'enrol_full', down: 'owner_away', other: 'owner_away', unpaired: 'owner_away', no_worker: 'owner_away',
};

/** What the page does when the photos are others now. */
let changed = async () => {};

/** @param {string} news
 * @param {string} [problem] */
function report(news, problem = '') {
  $('owner-news').textContent = news;
  $('owner-problem').textContent = problem;
}

/** Show by which photos the owner is known.
 * @param {{id: string, added: number}[] | undefined} photos undefined while the server says nothing */
export function showOwner(photos) {
  $('owner').hidden = !photos;
  $('owner-offline').hidden = Boolean(photos);
  if (!photos) return;
  const time = new Intl.DateTimeFormat(language(), { dateStyle: 'long', timeStyle: 'short' });
  const rows = photos.map(({ id, added }, i) => {
    const words = say('owner_photo', i + 1, time.format(added * 1000));
    const remove = make('button', { type: 'button', textContent: say('remove'), ariaLabel: say('remove_of', words) });
    remove.addEventListener('click', () => forget(id));
    return make('li', {}, make('span', {}, words), remove);
  });
  putRows($('owner-photos'), rows, $('owner-add'));
  $('owner-none').hidden = rows.length > 0;
}

/** @param {string} id */
async function forget(id) {
  try {
    await tell({ type: 'forgetOwner', id });
    report(say('owner_removed'));
  } catch (error) {
    const trouble = troubleOf(error);
    if (trouble.code !== 'not_found') report('', OF_ALL[trouble.code] ? say(OF_ALL[trouble.code]) : wordsOf(trouble));
  }
  await changed();
}

/** Have the server learn the face from photos, one after the other.
 * @param {File[]} files */
async function learn(files) {
  /** Words for what went wrong -> the photos that it went wrong with. @type {Record<string, string[]>} */
  const missed = {};
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
      (missed[OF_PHOTOS[trouble.code] ?? wordsOf(trouble)] ??= []).push(file.name);
    }
  }
  const known = Object.values(OF_PHOTOS);
  const problems = Object.entries(missed).map(([what, names]) => (
    known.includes(what) ? say(what, names.join(', ')) : `${names.join(', ')}: ${what}`));
  report(learnt ? say('learnt', learnt, files.length) : '', [...problems, end && say(end)].join(' '));
  await changed();
}

/** Let photos be added and removed.
 * @param {() => Promise<void>} onChange */
export function offerOwner(onChange) {
  changed = onChange;
  const add = $('owner-add'), input = $('owner-files');
  // It stays where the keyboard is, so it is not disabled while photos are learnt.
  add.addEventListener('click', () => { if (add.ariaDisabled !== 'true') input.click(); });
  input.addEventListener('change', async () => {
    const files = [...input.files];
    input.value = ''; // the same photo may be chosen again
    add.ariaDisabled = 'true';
    await learn(files);
    add.ariaDisabled = 'false';
  });
}
