/** Files that were on their way to the page, and how they go on. */
interface Upload {
  files: File[];
  deliver(files: File[]): void;
  /** Lets the page's own controls recover; it gets no file. */
  cancel(): void;
}

/** What the scripts in the isolated world share with each other; pages see nothing of it. */
interface Parts {
  /** Events that we made ourselves. */
  own: { add(event: Event): void; has(event: Event): boolean };
  toInput(input: HTMLInputElement, files: File[]): Upload;
  toDrop(event: DragEvent, files: File[]): Upload;
  toPaste(event: ClipboardEvent, files: File[]): Upload;
  rootIn(element: Element): ShadowRoot | null;
  notice(text: string): void;
}

declare var clip2protect: Parts;
interface Element { openOrClosedShadowRoot?(): ShadowRoot | null; }
