import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from 'hyparquet';
import type { AsyncBuffer, FileMetaData, SchemaElement } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { z } from 'zod';
import { Failure } from '../../base/failure.ts';
import { isLfsPointer } from '../lfs-pointer.ts';
import { unreadableImage } from '../image-reference.ts';
import type { ImageContent, PackedFile } from './kept-picture.ts';

/* Parquet as Hugging Face's `datasets` writes it: a column of pictures is a struct of their bytes and their path. */

/** Row groups of pictures that stay in memory: a batch may reach into the next. */
const MOST_GROUPS = 2;
/** `datasets` writes 100 pictures a group; one this large was written without a thought of reading it piece by piece. */
const MOST_GROUP_BYTES = 2 ** 31;

const pictureSchema = z.object({ bytes: z.instanceof(Uint8Array).nullish() }).nullish();

interface RowGroup {
  firstRow: number;
  rows: number;
  imageBytes: number;
}

export class ParquetFile implements PackedFile {
  readonly rows: number;
  /** Top-level columns. */
  readonly columns: readonly string[];
  /** The column that holds pictures, if there is one. */
  readonly imageColumn: string | undefined;
  private readonly groups: readonly RowGroup[];
  /** By index, the least recently used first. */
  private readonly pictures = new Map<number, Promise<unknown[]>>();

  private constructor(
    private readonly path: string,
    private readonly file: AsyncBuffer,
    private readonly metadata: FileMetaData,
  ) {
    const roots = topLevel(metadata.schema);
    this.columns = roots.map(({ element }) => element.name);
    this.imageColumn = roots.find(({ children }) => children.some(({ name }) => name === 'bytes'))?.element.name;
    let rows = 0;
    this.groups = metadata.row_groups.map((group): RowGroup => {
      const firstRow = rows;
      rows += Number(group.num_rows);
      const imageBytes = group.columns.reduce(
        (sum, { meta_data: about }) =>
          about?.path_in_schema[0] === this.imageColumn ? sum + Number(about?.total_uncompressed_size ?? 0) : sum,
        0,
      );
      return { firstRow, rows: Number(group.num_rows), imageBytes };
    });
    this.rows = rows;
  }

  /** @throws Failure `dataset` where it is no whole parquet file */
  static async open(path: string): Promise<ParquetFile> {
    try {
      const file = await asyncBufferFromFile(path);
      return new ParquetFile(path, file, await parquetMetadataAsync(file));
    } catch (error) {
      const reason = (await isLfsPointer(path))
        ? 'it is a Git LFS pointer to one; fetch it with "git lfs pull"'
        : 'it is damaged, cut short, or another format';
      throw new Failure('dataset', `"${path}" is not a whole parquet file: ${reason}.`, { cause: error });
    }
  }

  /** What the writer has noted under a key. */
  note(key: string): string | undefined {
    return this.metadata.key_value_metadata?.find((entry) => entry.key === key)?.value;
  }

  /** The values of a column, row group by row group. */
  async *column(name: string): AsyncGenerator<unknown[]> {
    for (const { firstRow, rows } of this.groups) yield await this.readColumn(name, firstRow, rows);
  }

  async read(entry: number): Promise<ImageContent> {
    const index = this.groups.findIndex(({ firstRow, rows }) => entry >= firstRow && entry < firstRow + rows);
    const image = { path: this.path, entry };
    if (index < 0) throw unreadableImage(image, `the file holds ${this.rows} rows`);
    const pictures = await this.picturesOf(index);
    const picture = pictureSchema.safeParse(pictures[entry - this.groups[index]!.firstRow]);
    const bytes = picture.data?.bytes;
    if (!bytes) throw unreadableImage(image, 'the row holds no bytes of a picture');
    return { encoded: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength) };
  }

  private picturesOf(index: number): Promise<unknown[]> {
    const pictures = this.pictures.get(index) ?? this.readPictures(this.groups[index]!);
    this.pictures.delete(index);
    this.pictures.set(index, pictures);
    for (const old of [...this.pictures.keys()].slice(0, -MOST_GROUPS)) this.pictures.delete(old);
    return pictures;
  }

  private async readPictures({ firstRow, rows, imageBytes }: RowGroup): Promise<unknown[]> {
    const name = this.imageColumn;
    if (name === undefined) throw new Failure('dataset', `"${this.path}" has no column of pictures.`);
    if (imageBytes > MOST_GROUP_BYTES)
      throw new Failure(
        'dataset',
        `"${this.path}" keeps ${(imageBytes / 1e9).toFixed(1)} GB of pictures in one row group: write it again with smaller groups.`,
      );
    return this.readColumn(name, firstRow, rows);
  }

  private async readColumn(name: string, rowStart: number, rows: number): Promise<unknown[]> {
    const { file, metadata } = this;
    const options = { file, metadata, columns: [name], rowStart, rowEnd: rowStart + rows, compressors, utf8: false };
    return (await parquetReadObjects(options)).map((row) => row[name] as unknown);
  }
}

export const openParquetFile = (path: string): Promise<ParquetFile> => ParquetFile.open(path);

/** Columns with their children, out of the schema's list in depth-first order. */
function topLevel(schema: readonly SchemaElement[]): { element: SchemaElement; children: SchemaElement[] }[] {
  const roots: { element: SchemaElement; children: SchemaElement[] }[] = [];
  let next = 1;
  const skip = (): SchemaElement => {
    const element = schema[next++]!;
    for (let child = 0; child < (element.num_children ?? 0); child++) skip();
    return element;
  };
  while (next < schema.length) {
    const element = schema[next++]!;
    roots.push({ element, children: Array.from({ length: element.num_children ?? 0 }, skip) });
  }
  return roots;
}
