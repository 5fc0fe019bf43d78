/** The webcam, a frame at a time. */

/** Longest side of a frame that is sent: more than any backbone looks at. */
const LONGEST = 640;
const QUALITY = 0.9;

export class Camera {
  stream = $state.raw<MediaStream | null>(null);

  /** @throws where there is none, or it may not be used */
  async start(): Promise<void> {
    this.stream = await navigator.mediaDevices.getUserMedia({
      video: { width: { ideal: LONGEST }, facingMode: 'environment' },
    });
  }

  stop(): void {
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.stream = null;
  }
}

/** Pictures looked at one after the other, those of the webcam as fast as they are done with. */
export class Looking {
  /** A moving mean, for single frames jump; null before the webcam's second frame. */
  framesPerSecond = $state<number | null>(null);
  /** Why there is no answer to the last picture; empty where there is one. */
  problem = $state('');

  /** @param use throws with the sentence that says why there is no answer */
  constructor(private readonly use: (picture: Blob, name: string) => Promise<unknown>) {}

  /** @returns whether there is an answer */
  async look(picture: Blob, name: string): Promise<boolean> {
    try {
      await this.use(picture, name);
      this.problem = '';
    } catch (error) {
      this.problem = error instanceof Error ? error.message : String(error);
    }
    return this.problem === '';
  }

  /** Shows the webcam in a video and looks at its frames. @returns how to stop */
  play(video: HTMLVideoElement, stream: MediaStream | null, name: string): () => void {
    video.srcObject = stream;
    void video.play().catch(() => undefined);
    this.framesPerSecond = null;
    let rate: number | null = null;
    let before: number | null = null;
    return eachFrame(video, async (frame) => {
      // Not again at once: what went wrong may go on.
      if (!(await this.look(frame, name))) await new Promise((resolve) => setTimeout(resolve, 1000));
      const now = performance.now();
      if (before !== null) rate = rate === null ? 1000 / (now - before) : 0.8 * rate + 200 / (now - before);
      before = now;
      this.framesPerSecond = rate;
    });
  }
}

/**
 * Hands one frame after the other to `use`, never a second one before it is done with the first, and none while the
 * window is hidden.
 * @returns how to stop
 */
export function eachFrame(video: HTMLVideoElement, use: (frame: Blob) => Promise<void>): () => void {
  const stopped = new AbortController();
  const { signal } = stopped;
  const canvas = document.createElement('canvas');
  const stops = (): boolean => signal.aborted;
  const next = async () => {
    while (!stops()) {
      await new Promise((resolve) => requestAnimationFrame(resolve));
      if (stops() || video.videoWidth === 0) continue;
      const frame = await grab(video, canvas);
      if (frame && !stops()) await use(frame);
    }
  };
  void next();
  return () => stopped.abort();
}

function grab(video: HTMLVideoElement, canvas: HTMLCanvasElement): Promise<Blob | null> {
  const scale = Math.min(1, LONGEST / Math.max(video.videoWidth, video.videoHeight));
  canvas.width = Math.round(video.videoWidth * scale);
  canvas.height = Math.round(video.videoHeight * scale);
  canvas.getContext('2d')!.drawImage(video, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve, 'image/jpeg', QUALITY));
}
