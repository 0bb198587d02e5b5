/** Files and texts on their way to the page. */
interface Upload {
  files: File[];
  /** Kind -> text that goes with the files, and may hold photos. */
  texts: Map<string, string>;
  /** Hands files and texts to the page; whether it has surely taken them. */
  deliver(files: File[], texts: Map<string, string>): Promise<boolean>;
  /** Resets the page's controls; the page gets no file. */
  cancel(): void;
}

/** Photos in a text.  `rebuild` puts results in place of the originals; null leaves one out. */
interface TextHolder {
  photos: File[];
  rebuild(results: Map<File, File | null>): Promise<string>;
}

/** The same for a file. */
interface BytesHolder {
  photos: File[];
  rebuild(results: Map<File, File | null>): Promise<Uint8Array<ArrayBuffer>>;
}

interface Mark { add(object: unknown): void; has(object: unknown): boolean }

type Kind = 'photo' | 'text' | 'other';

/** What the scripts in our own world share; pages cannot see it. */
interface ContentScripts {
  /** Set by the last script: all others have run. */
  started?: boolean;
  kindOf(file: { name: string, type: string }, start: string): Kind;
  kindNow(file: File): Kind | undefined;
  kindLater(file: File): Promise<Kind>;
  read(file: Blob): string | undefined;
  fileOf(original: { name: string, lastModified: number }, photo: Blob): File;
  photosInText(text: string, known?: Map<string, File>): TextHolder;
  photosInBytes(letters: string, known: Map<string, File>): BytesHolder;
  lettersOf(blob: Blob): Promise<string>;
  addressOf(blob: Blob): Promise<string>;
  makeMark(name: string): Mark;
  /** Our own events. */
  own: Mark;
  /** Files that may go on, and lists of such files. */
  settled: Mark;
  toInput(input: HTMLInputElement, files: File[]): Upload;
  toDrop(event: DragEvent, files: File[], photos: boolean): Upload;
  toPaste(event: ClipboardEvent, files: File[], photos: boolean): Upload;
  textsOf(transfer: DataTransfer | null): Map<string, string>;
  rootIn(element: Element): ShadowRoot | null;
  notice(text: string): void;
  /** Remove all dialogs from this page. */
  hideAll(): void;
  /** Whether the extension that the scripts belong to is there. */
  isAlive(): boolean;
  hold(upload: Upload, byUser: boolean): Promise<boolean>;
  /** End all uploads that have no answer yet. */
  leave(): void;
  mayHoldPhotos(file: File): boolean;
  textsHoldPhotos(texts: Map<string, string>): boolean;
  words(key: string, otherwise: string): string;
  /** Listen anew in this window. */
  listen(): void;
  /** Note from now on whether the page looks at files. */
  watchLooks(): () => boolean;
}

declare var clip2protect: ContentScripts;
/** Firefox gives these to scripts in pages. */
declare function cloneInto<T>(value: T, scope: Window): T;
declare function XPCNativeWrapper<T>(value: T): T;
interface Event { wrappedJSObject?: any }
interface Element { openOrClosedShadowRoot?(): ShadowRoot | null; getHTML(): string; }
