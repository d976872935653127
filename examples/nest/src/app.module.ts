import { Module } from "@nestjs/common";
import { DurableModule } from "ringback/nest";
import { CheckoutWorkflow } from "./checkout.workflow";
import { OrdersController } from "./orders.controller";
import { PaymentService } from "./payment.service";

const { RINGBACK_BASE_URL = "http://localhost:3000" } = process.env;

@Module({
  imports: [DurableModule.forRoot({ webhookUrl: (token) => `${RINGBACK_BASE_URL}/durable/api/webhooks/${token}` })],
  providers: [PaymentService, CheckoutWorkflow],
  controllers: [OrdersController],
})
export class AppModule {}
