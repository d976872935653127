import { Injectable, Logger } from "@nestjs/common";
import { FatalError, Step } from "ringback/nest";
import type { Order } from "./checkout.workflow";

@Injectable()
export class PaymentService {
  readonly #logger = new Logger(PaymentService.name);

  /** Stands for a call to a payment provider, which answers at the URL when its customer has paid. */
  ask(orderId: string, cents: number, callbackUrl: string | undefined) {
    const paid = JSON.stringify({ status: "paid", ref: `${cents} cents` });
    this.#logger.log(`To pay for ${orderId}: curl -H 'content-type: application/json' -d '${paid}' ${callbackUrl}`);
  }

  @Step({ name: "ship", retries: 5 })
  async ship(order: Order) {
    if (order.cents <= 0) throw new FatalError(`${order.cents} cents are no price for order ${order.id}.`);
    this.#logger.log(`Shipped ${order.id}.`);
    return `parcel of ${order.id}`;
  }
}
