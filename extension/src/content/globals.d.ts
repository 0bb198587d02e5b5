/** What the scripts in the isolated world share with each other; pages see nothing of it. */
declare var clip2protect: import('./parts.js').Parts;
interface HTMLInputElement { webkitdirectory: boolean; }
interface Element { openOrClosedShadowRoot?(): ShadowRoot | null; }
