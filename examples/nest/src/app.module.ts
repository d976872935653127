import { Module } from "@nestjs/common";
import { DurableModule } from "ringback/nest";
import { CheckoutWorkflow } from "./checkout.workflow";
import { OrdersController } from "./orders.controller";
import { PaymentService } from "./payment.service";

const { PORT = "3000", RINGBACK_BASE_URL = `http://localhost:${PORT}` } = process.env;

@Module({
  imports: [DurableModule.forRoot({ baseUrl: RINGBACK_BASE_URL })],
  providers: [PaymentService, CheckoutWorkflow],
  controllers: [OrdersController],
})
export class AppModule {}
