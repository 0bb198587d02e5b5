// The card with the photos that teach the server the user's face.

import { $, attempt, day, entry, isPhoto, make } from './parts.js';
import { ask, read, words } from './server.js';

/** Problems of one photo.  Any other problem the next photo would have, too. */
const OF_ONE_PHOTO = ['no_face', 'bad_image', 'too_large', 'worker_failed', 'out_of_memory', 'timeout'];

export async function showOwner() {
  const { photos } = await read('json', '/v1/owner');
  $('#owner-photos').replaceChildren(...photos.map(ownerRow));
  const mine = $('#faces [value=mine]');
  mine.disabled = !photos.length;
  $('#faces-hint').hidden = !mine.disabled;
  if (mine.disabled && mine.selected) {
    $('#faces').value = 'all';
    $('#owner-news').textContent = 'No photo of you is left: all faces are protected from now on.';
  }
}

function ownerRow({ id, added }, i) {
  const what = `Photo ${i + 1}`;
  const ariaLabel = `Remove ${what}, added ${day(added)}`;
  const remove = make('button', { type: 'button', textContent: 'Remove', ariaLabel });
  remove.addEventListener('click', () => attempt('#owner-problem', async () => {
    $('#owner-news').textContent = '';
    await ask(`/v1/owner/${id}`, { method: 'DELETE' });
    await showOwner();
    $('#owner summary').focus();
  }));
  return entry(what, `added ${day(added)}`, remove);
}

/** Let the server learn the face from photos, one after the other, and say how each went. */
async function learn(files) {
  const problems = [];
  let learnt = 0;
  for (const [i, file] of files.entries()) {
    $('#owner-news').textContent = `Looking at ${file.name}, ${i + 1} of ${files.length}`;
    try {
      if (!isPhoto(file)) throw { code: 'bad_image', title: 'Only JPEG, PNG and WebP photos can be used' };
      await read('json', '/v1/owner', { method: 'POST', body: file, headers: { 'Content-Type': file.type } });
      learnt += 1;
      await showOwner();
    } catch (problem) {
      if (problem.code === 'unpaired') { // the next user must not see names of photos
        $('#owner-news').textContent = '';
        return;
      }
      // The title of `no_face` speaks of protecting; its detail says which photo is wanted.
      problems.push(`${file.name}: ${problem.code === 'no_face' ? problem.detail : words(problem)}`);
      if (!OF_ONE_PHOTO.includes(problem.code)) break;
    }
  }
  const were = files.length === 1 ? 'photo was' : 'photos were';
  $('#owner-news').textContent = `${learnt} of ${files.length} ${were} added.`;
  $('#owner-problem').textContent = problems.join('\n');
}

/** Photos that are chosen later are learnt later. */
let learning = Promise.resolve();

$('#owner').addEventListener('toggle', () => $('#owner').open && attempt('#owner-problem', showOwner));
$('#owner-add').addEventListener('click', () => $('#owner-files').click());
$('#owner-files').addEventListener('change', ({ target }) => {
  const files = [...target.files];
  target.value = '';
  learning = learning.then(() => attempt('#owner-problem', () => learn(files)));
});
addEventListener('left', () => {
  for (const place of ['#owner-news', '#owner-problem']) $(place).textContent = '';
  $('#owner').open = false;
});
