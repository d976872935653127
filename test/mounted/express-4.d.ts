// Express 4 stands beside 5 under another name; what is used of it here has the same types.

declare module "express-4" {
  export { default } from "express";
}
