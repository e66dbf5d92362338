import { fetchModel } from '../fetch-model.ts';
import { hubPlace } from '../place.ts';

// Fetches the model that is named and prints its folder.
process.stdout.write(await fetchModel(process.argv[2] ?? '', hubPlace(process.env)));
