/** Files on their way into the workspace: a browser tells no paths, so what is dropped there is sent. */
import type { Answered } from '../../src-main/studio/service/client.ts';
import { replyIn } from '../../src-main/studio/service/client.ts';
import type { DroppedFile } from '../dropped.ts';
import { text } from '../text.ts';
import { library } from './library.svelte.ts';
import { attempt } from './toasts.svelte.ts';

export interface Upload {
  name: string;
  /** 0 to 1. */
  share: number;
  stop: () => void;
}

class Uploads {
  current = $state.raw<Upload | null>(null);

  /** Sends files as one body, each after a line that says what it is; the dataset they make is imported as a job. */
  async send(files: readonly DroppedFile[]): Promise<void> {
    const name = files[0]?.path.split('/')[0] ?? '';
    await attempt(async () => {
      if (files.length === 0) throw new Error(text.datasets.dropNothing);
      if (this.current) throw new Error(text.datasets.uploading(this.current.name));
      try {
        const answered = await this.post(name, bodyOf(files));
        if (answered) library.keep(replyIn<'datasets.add'>(answered));
      } finally {
        this.current = null;
      }
    });
  }

  /** Undefined where it was stopped. `fetch` tells no progress of what it sends. */
  private post(name: string, body: Blob): Promise<Answered | undefined> {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      this.current = { name, share: 0, stop: () => request.abort() };
      request.upload.onprogress = ({ loaded, total }) => {
        if (this.current) this.current = { ...this.current, share: loaded / Math.max(1, total) };
      };
      request.onload = () => {
        if (request.status === 200) resolve(JSON.parse(request.responseText) as Answered);
        else reject(new Error(request.responseText.trim() || text.datasets.uploadFailed));
      };
      request.onerror = () => reject(new Error(text.datasets.uploadFailed));
      request.onabort = () => resolve(undefined);
      request.open('POST', './upload');
      request.setRequestHeader('content-type', 'application/octet-stream');
      request.send(body);
    });
  }
}

/** The files stay where they are until they are read, so that this takes no memory. */
function bodyOf(files: readonly DroppedFile[]): Blob {
  return new Blob(
    files.flatMap(({ path, file }) => [
      `${JSON.stringify({ path, bytes: file.size, mtimeMs: file.lastModified })}\n`,
      file,
    ]),
  );
}

export const uploads = new Uploads();
