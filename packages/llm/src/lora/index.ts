export { LoraDownloader } from './downloader.ts';
export type { LoraDownloaderOptions, LoraSource } from './downloader.ts';
export { resolveAdapter } from './resolve.ts';
