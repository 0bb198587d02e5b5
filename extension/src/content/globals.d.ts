/** Files on their way to the page. */
interface Upload {
  files: File[];
  deliver(files: File[]): void;
  /** Resets the page's controls; the page gets no file. */
  cancel(): void;
}

/** What the scripts in our own world share; pages cannot see it. */
interface ContentScripts {
  isImage(file: { name: string, type: string, size: number }): boolean | undefined;
  startsLikeImage(file: Blob): Promise<boolean>;
  fileOf(original: { name: string, lastModified: number }, photo: Blob): File;
  /** Our own events. */
  own: { add(event: Event): void; has(event: Event): boolean };
  toInput(input: HTMLInputElement, files: File[]): Upload;
  toDrop(event: DragEvent, files: File[]): Upload;
  toPaste(event: ClipboardEvent, files: File[]): Upload;
  rootIn(element: Element): ShadowRoot | null;
  notice(text: string): void;
}

declare var clip2protect: ContentScripts;
interface Element { openOrClosedShadowRoot?(): ShadowRoot | null; }
