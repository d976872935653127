import { Body, Controller, Get, HttpCode, Logger, NotFoundException, Param, Post } from "@nestjs/common";
import { WorkflowEngine } from "ringback/nest";
import { CheckoutWorkflow, type Order } from "./checkout.workflow";

@Controller("orders")
export class OrdersController {
  readonly #logger = new Logger(OrdersController.name);

  constructor(private readonly engine: WorkflowEngine) {}

  @Post()
  @HttpCode(202)
  async place(@Body() order: Order) {
    const { runId } = await this.engine.start(CheckoutWorkflow, order, `order-${order.id}`);
    return { runId };
  }

  @Get(":id")
  async show(@Param("id") id: string) {
    const run = this.engine.getRun(`order-${id}`);
    if (!(await run.exists)) throw new NotFoundException(`There is no order ${id}.`);
    const state = await run.state;
    if (state !== "completed" && state !== "failed") return { state };
    try {
      return { state, result: await run.returnValue };
    } catch (error) {
      const { message, stack } = (error as Error).cause as Error; // what the workflow threw
      this.#logger.error(stack);
      return { state, reason: message };
    }
  }
}
