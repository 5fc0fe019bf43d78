/** The models of a server, and what is the same for whoever asks over whatever transport. */
import { HttpError } from './http-error.ts';
import { VERSION, type ServedModel } from './served-model.ts';
import { add } from './statistics.ts';

const EXTENSIONS = ['binary_tensor_data', 'model_configuration', 'model_repository', 'statistics'];

export class ServedModels {
  private readonly byName: ReadonlyMap<string, ServedModel>;

  constructor(
    readonly all: readonly ServedModel[],
    private readonly server: { version: string; isDraining: () => boolean },
  ) {
    this.byName = new Map(all.map((model) => [model.name, model]));
  }

  get isReady(): boolean {
    return !this.server.isDraining();
  }

  /** @throws HttpError 404 */
  find(name: string, version = VERSION): ServedModel {
    const model = this.byName.get(name);
    if (!model)
      throw new HttpError(404, `There is no model of this name: there are ${[...this.byName.keys()].join(', ')}.`);
    if (version !== VERSION) throw new HttpError(404, `Model "${name}" has the version ${VERSION} alone.`);
    return model;
  }

  metadata(): object {
    return { name: 'sidetune', version: this.server.version, extensions: EXTENSIONS };
  }

  index(): object[] {
    return this.all.map(({ name }) => ({ name, version: VERSION, state: 'READY', reason: '' }));
  }

  statistics(models: readonly ServedModel[] = this.all): object {
    return { model_stats: models.map(({ name, statistics }) => statistics.report(name, VERSION)) };
  }

  /** An inference, counted. @throws HttpError 503 when the server is being stopped, and what `work` throws */
  async counted<T>({ statistics }: ServedModel, work: () => Promise<T>): Promise<T> {
    if (!this.isReady)
      throw new HttpError(503, 'The server is being stopped: ask again when it is back.', { 'retry-after': '5' });
    const begun = performance.now();
    try {
      const done = await work();
      add(statistics.success, performance.now() - begun);
      statistics.lastInference = Date.now();
      return done;
    } catch (error) {
      add(statistics.fail, performance.now() - begun);
      if (error instanceof HttpError && error.status === 503) statistics.rejected++;
      throw error;
    }
  }
}
