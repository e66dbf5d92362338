import { LoraDownloader } from '../downloader.ts';

/** Fetches one adapter and tells its parent where it is: `download-once.ts CACHE URI`. */
const [, , cache = '', uri = ''] = process.argv;
const told = await new LoraDownloader({ cache }).downloadIfNeeded(uri).then(
  (path) => ({ path }),
  (error: unknown) => ({ error: String(error) }),
);
process.send?.(told);
process.disconnect();
