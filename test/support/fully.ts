/** Whether this run does all there is (`npm run test:all`), or what fits into the minutes of `npm test`. */
export const fully = process.env.PGR_TEST_ALL === "1";
