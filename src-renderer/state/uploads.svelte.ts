/** Files on their way into the workspace: a browser tells no paths, so what is dropped there is sent. */
import type { Answered } from '../../src-main/studio/service/client.ts';
import { replyIn } from '../../src-main/studio/service/client.ts';
import type { DroppedFile } from '../browser/dropped.ts';
import { text } from '../text/text.ts';
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

  /** Sends the files of a dataset, which is then imported as a job. */
  async send(files: readonly DroppedFile[]): Promise<void> {
    const name = files[0]?.path.split('/')[0] ?? '';
    await attempt(async () => {
      if (files.length === 0) throw new Error(text.datasets.dropNothing);
      const answered = await this.post('./upload', name, files);
      if (answered) library.keep(replyIn<'datasets.add'>(answered as Answered));
    });
  }

  /**
   * Sends an ONNX file, with the files that it keeps its weights in.
   * @returns where it lies now; undefined where it was stopped
   * @throws with the sentence that says why it was not taken
   */
  async sendModel(model: File, files: readonly File[]): Promise<string | undefined> {
    const answered = await this.post(
      './upload/model',
      model.name,
      files.map((file) => ({ path: file.name, file })),
    );
    return (answered as { reply: { file: string } } | undefined)?.reply.file;
  }

  /** Sends files as one body, each after a line that says what it is. */
  private async post(address: string, name: string, files: readonly DroppedFile[]): Promise<unknown> {
    if (this.current) throw new Error(text.datasets.uploading(this.current.name));
    try {
      return await this.transfer(address, name, bodyOf(files));
    } finally {
      this.current = null;
    }
  }

  /** Undefined where it was stopped. `fetch` tells no progress of what it sends. */
  private transfer(address: string, name: string, body: Blob): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      this.current = { name, share: 0, stop: () => request.abort() };
      request.upload.onprogress = ({ loaded, total }) => {
        if (this.current) this.current = { ...this.current, share: loaded / Math.max(1, total) };
      };
      request.onload = () => {
        if (request.status === 200) resolve(JSON.parse(request.responseText));
        else reject(new Error(request.responseText.trim() || text.datasets.uploadFailed));
      };
      request.onerror = () => reject(new Error(text.datasets.uploadFailed));
      request.onabort = () => resolve(undefined);
      request.open('POST', address);
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
