// Its names cannot be read off the text.
module.exports = (n) => n + 1;
for (const [i, name] of ["zero", "one"].entries()) module.exports[name] = () => i;
